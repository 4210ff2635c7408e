package index

import (
	"strings"
	"unicode"
)

// countries has a line for each code of ISO 3166-1 alpha-2, and for Kosovo's
// customary XK, with the names in English that people use.
const countries = `
AD|Andorra
AE|United Arab Emirates|UAE
AF|Afghanistan
AG|Antigua and Barbuda
AI|Anguilla
AL|Albania
AM|Armenia
AO|Angola
AQ|Antarctica
AR|Argentina
AS|American Samoa
AT|Austria
AU|Australia
AW|Aruba
AX|Åland Islands|Åland
AZ|Azerbaijan
BA|Bosnia and Herzegovina|Bosnia
BB|Barbados
BD|Bangladesh
BE|Belgium
BF|Burkina Faso
BG|Bulgaria
BH|Bahrain
BI|Burundi
BJ|Benin
BL|Saint Barthélemy
BM|Bermuda
BN|Brunei|Brunei Darussalam
BO|Bolivia
BQ|Caribbean Netherlands|Bonaire, Sint Eustatius and Saba
BR|Brazil
BS|Bahamas
BT|Bhutan
BV|Bouvet Island
BW|Botswana
BY|Belarus
BZ|Belize
CA|Canada
CC|Cocos Islands|Cocos (Keeling) Islands|Keeling Islands
CD|Democratic Republic of the Congo|Congo (Kinshasa)|DR Congo|DRC
CF|Central African Republic
CG|Republic of the Congo|Congo (Brazzaville)|Congo
CH|Switzerland
CI|Ivory Coast|Côte d'Ivoire
CK|Cook Islands
CL|Chile
CM|Cameroon
CN|China
CO|Colombia
CR|Costa Rica
CU|Cuba
CV|Cape Verde|Cabo Verde
CW|Curaçao
CX|Christmas Island
CY|Cyprus
CZ|Czechia|Czech Republic
DE|Germany
DJ|Djibouti
DK|Denmark
DM|Dominica
DO|Dominican Republic
DZ|Algeria
EC|Ecuador
EE|Estonia
EG|Egypt
EH|Western Sahara
ER|Eritrea
ES|Spain
ET|Ethiopia
FI|Finland
FJ|Fiji
FK|Falkland Islands|Malvinas
FM|Micronesia|Federated States of Micronesia
FO|Faroe Islands
FR|France
GA|Gabon
GB|United Kingdom|UK|Britain|Great Britain
GD|Grenada
GE|Georgia
GF|French Guiana
GG|Guernsey
GH|Ghana
GI|Gibraltar
GL|Greenland
GM|Gambia
GN|Guinea
GP|Guadeloupe
GQ|Equatorial Guinea
GR|Greece
GS|South Georgia and the South Sandwich Islands|South Georgia
GT|Guatemala
GU|Guam
GW|Guinea-Bissau
GY|Guyana
HK|Hong Kong
HM|Heard Island and McDonald Islands
HN|Honduras
HR|Croatia
HT|Haiti
HU|Hungary
ID|Indonesia
IE|Ireland
IL|Israel
IM|Isle of Man
IN|India
IO|British Indian Ocean Territory
IQ|Iraq
IR|Iran|Islamic Republic of Iran
IS|Iceland
IT|Italy
JE|Jersey
JM|Jamaica
JO|Jordan
JP|Japan
KE|Kenya
KG|Kyrgyzstan
KH|Cambodia
KI|Kiribati
KM|Comoros
KN|Saint Kitts and Nevis
KP|North Korea|Democratic People's Republic of Korea
KR|South Korea|Republic of Korea|Korea
KW|Kuwait
KY|Cayman Islands
KZ|Kazakhstan
LA|Laos|Lao People's Democratic Republic
LB|Lebanon
LC|Saint Lucia
LI|Liechtenstein
LK|Sri Lanka
LR|Liberia
LS|Lesotho
LT|Lithuania
LU|Luxembourg
LV|Latvia
LY|Libya
MA|Morocco
MC|Monaco
MD|Moldova|Republic of Moldova
ME|Montenegro
MF|Saint Martin
MG|Madagascar
MH|Marshall Islands
MK|North Macedonia|Macedonia
ML|Mali
MM|Myanmar|Burma
MN|Mongolia
MO|Macao|Macau
MP|Northern Mariana Islands
MQ|Martinique
MR|Mauritania
MS|Montserrat
MT|Malta
MU|Mauritius
MV|Maldives
MW|Malawi
MX|Mexico
MY|Malaysia
MZ|Mozambique
NA|Namibia
NC|New Caledonia
NE|Niger
NF|Norfolk Island
NG|Nigeria
NI|Nicaragua
NL|Netherlands|Holland
NO|Norway
NP|Nepal
NR|Nauru
NU|Niue
NZ|New Zealand
OM|Oman
PA|Panama
PE|Peru
PF|French Polynesia
PG|Papua New Guinea
PH|Philippines
PK|Pakistan
PL|Poland
PM|Saint Pierre and Miquelon
PN|Pitcairn|Pitcairn Islands
PR|Puerto Rico
PS|Palestine|State of Palestine
PT|Portugal
PW|Palau
PY|Paraguay
QA|Qatar
RE|Réunion
RO|Romania
RS|Serbia
RU|Russia|Russian Federation
RW|Rwanda
SA|Saudi Arabia
SB|Solomon Islands
SC|Seychelles
SD|Sudan
SE|Sweden
SG|Singapore
SH|Saint Helena|Saint Helena, Ascension and Tristan da Cunha
SI|Slovenia
SJ|Svalbard and Jan Mayen|Svalbard
SK|Slovakia
SL|Sierra Leone
SM|San Marino
SN|Senegal
SO|Somalia
SR|Suriname
SS|South Sudan
ST|São Tomé and Príncipe
SV|El Salvador
SX|Sint Maarten
SY|Syria|Syrian Arab Republic
SZ|Eswatini|Swaziland
TC|Turks and Caicos Islands
TD|Chad
TF|French Southern Territories
TG|Togo
TH|Thailand
TJ|Tajikistan
TK|Tokelau
TL|Timor-Leste|East Timor
TM|Turkmenistan
TN|Tunisia
TO|Tonga
TR|Turkey|Türkiye
TT|Trinidad and Tobago|Trinidad
TV|Tuvalu
TW|Taiwan
TZ|Tanzania|United Republic of Tanzania
UA|Ukraine
UG|Uganda
UM|United States Minor Outlying Islands
US|United States|United States of America|USA|America
UY|Uruguay
UZ|Uzbekistan
VA|Vatican City|Vatican|Holy See
VC|Saint Vincent and the Grenadines|Saint Vincent
VE|Venezuela
VG|British Virgin Islands|Virgin Islands (British)
VI|United States Virgin Islands|US Virgin Islands|Virgin Islands (US)
VN|Vietnam|Viet Nam
VU|Vanuatu
WF|Wallis and Futuna
WS|Samoa|Western Samoa
XK|Kosovo
YE|Yemen
YT|Mayotte
ZA|South Africa
ZM|Zambia
ZW|Zimbabwe
`

type country struct{ code, name string }

// countriesByName returns the table by folded names and codes. A name wins over
// the same code: people write UK.
func countriesByName() map[string]country {
	known := map[string]country{}
	for line := range strings.Lines(strings.TrimSpace(countries)) {
		code, names, _ := strings.Cut(strings.TrimSpace(line), "|")
		name, _, _ := strings.Cut(names, "|")
		if _, taken := known[foldCountry(code)]; !taken {
			known[foldCountry(code)] = country{code, name}
		}
		for other := range strings.SplitSeq(names, "|") {
			known[foldCountry(other)] = country{code, name}
		}
	}
	return known
}

// isCountryCode reports whether s could be a code. Events also have some that are
// no country's, as T1 for the Tor network.
func isCountryCode(s string) bool {
	return len(s) == countryCodeLen && !strings.ContainsFunc(s, func(r rune) bool {
		return r >= unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
}

// foldCountry returns the words of a name that tell it from others, with plain
// letters and nothing between them.
func foldCountry(name string) string {
	var b strings.Builder
	for _, word := range strings.Fields(strings.Map(plainLetter, name)) {
		switch word {
		case "the":
		case "st":
			b.WriteString("saint")
		case "&":
			b.WriteString("and")
		default:
			b.WriteString(word)
		}
	}
	return b.String()
}

// plainLetter makes a small letter without an accent of a letter, a space of what
// joins words, and nothing of other signs.
func plainLetter(r rune) rune {
	switch r = unicode.ToLower(r); r {
	case 'å', 'ã', 'á':
		return 'a'
	case 'é':
		return 'e'
	case 'í':
		return 'i'
	case 'ô', 'ó':
		return 'o'
	case 'ü':
		return 'u'
	case 'ç':
		return 'c'
	case '-', ',', '(', ')':
		return ' '
	}
	if unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsSpace(r) || r == '&' {
		return r
	}
	return -1
}
