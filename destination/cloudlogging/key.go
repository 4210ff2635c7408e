package cloudlogging

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"strings"

	"github.com/sluicelog/sluice"
)

const (
	maxKey     = 32 << 10 // bytes; a key file has about 2,400
	minKeyBits = 1024
	maxKeyBits = 8192
	// maxDER bounds a key in DER: one of maxKeyBits has about 4,700 bytes. The
	// time that a larger one takes grows with the third power of its size, and
	// nothing can interrupt it.
	maxDER = 5000
)

// account is what a private key or a key file says. However it is printed, the
// key is not shown.
type account struct {
	email string // "" when the key came without a file
	key   []byte // PEM of PKCS #8
}

// Format shows the account without its key.
func (a account) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "service account "+a.email) }

// keyFile is what is read of a JSON key file. Everything else in it is ignored:
// a file may name addresses to fetch and programs to run.
type keyFile struct {
	Type        string `json:"type"`
	ClientEmail string `json:"client_email"`
	PrivateKey  string `json:"private_key"`
}

// otherTypes are the types of credential files that are known and refused.
var otherTypes = map[string]string{
	"authorized_user":                  "the sign-in of a person",
	"external_account":                 "workload identity federation",
	"external_account_authorized_user": "workforce identity federation",
	"impersonated_service_account":     "service account impersonation",
	"gdch_service_account":             "Google Distributed Cloud",
}

const keyHint = "in Google Cloud, create a key of the type JSON for the service account and send the file, or its field private_key"

func keyError(format string, args ...any) *sluice.Error {
	return sluice.Errorf(sluice.Invalid, "secrets."+PrivateKey+" "+format, args...).WithHint(keyHint)
}

// readAccount reads a private key in PEM or a whole JSON key file. Errors are
// *[sluice.Error] with code Invalid and never repeat what was sent.
func readAccount(text string) (account, error) {
	text = strings.TrimSpace(strings.TrimPrefix(text, "\ufeff")) // files of Windows begin with a mark
	switch {
	case text == "":
		return account{}, keyError("is required")
	case len(text) > maxKey:
		return account{}, keyError("is too long to be a key")
	case text[0] != '{':
		key, err := readKey(text)
		return account{key: key}, err
	}
	var file keyFile
	if json.Unmarshal([]byte(text), &file) != nil {
		return account{}, keyError("begins like a JSON key file, and is not valid JSON")
	}
	if file.Type != "service_account" {
		what := otherTypes[file.Type]
		if what == "" {
			return account{}, keyError("is a JSON file that is not the key of a service account: its type must be \"service_account\"")
		}
		return account{}, keyError("is a file of the type %q (%s): only the key of a service account is taken, of the type \"service_account\"", file.Type, what)
	}
	if file.ClientEmail == "" || file.PrivateKey == "" {
		return account{}, keyError("is a JSON key file without client_email or private_key")
	}
	key, err := readKey(file.PrivateKey)
	return account{email: strings.TrimSpace(file.ClientEmail), key: key}, err
}

// readKey reads an RSA key in PEM (PKCS #8 or #1) and returns it as PKCS #8 in
// PEM. Line ends may be missing, blanks, or the two characters \n that a key has
// inside of a JSON file.
func readKey(text string) ([]byte, error) {
	label, body, err := findPEM(text)
	if err != nil {
		return nil, err
	}
	der, err := base64.StdEncoding.DecodeString(body)
	if err != nil {
		return nil, keyError("is damaged: what is between its first and last line is not Base64")
	}
	if len(der) > maxDER {
		return nil, keyError("is larger than %d bits", maxKeyBits)
	}
	var parsed any
	switch label {
	case "PRIVATE KEY":
		parsed, err = x509.ParsePKCS8PrivateKey(der)
	case "RSA PRIVATE KEY":
		parsed, err = x509.ParsePKCS1PrivateKey(der)
	case "ENCRYPTED PRIVATE KEY":
		return nil, keyError("is protected by a passphrase")
	default:
		return nil, keyError("is in PEM, and not a private key of RSA (\"PRIVATE KEY\" or \"RSA PRIVATE KEY\")")
	}
	if err != nil {
		return nil, keyError("is damaged: it cannot be read as a private key")
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, keyError("is not a key of RSA")
	}
	if key.N.BitLen() < minKeyBits {
		return nil, keyError("is a key of %d bits: at least %d are needed", key.N.BitLen(), minKeyBits)
	}
	if der, err = x509.MarshalPKCS8PrivateKey(key); err != nil {
		return nil, keyError("is damaged: it cannot be read as a private key")
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// findPEM returns the label and the Base64 text of the first block.
func findPEM(text string) (label, body string, err error) {
	const dashes = "-----"
	_, rest, found := strings.Cut(text, dashes+"BEGIN ")
	if found {
		label, rest, found = strings.Cut(rest, dashes)
	}
	if found {
		body, _, found = strings.Cut(rest, dashes+"END "+label+dashes)
	}
	if !found {
		return "", "", keyError("is neither a private key in PEM (-----BEGIN PRIVATE KEY-----) nor a JSON key file")
	}
	body = strings.Join(strings.Fields(strings.NewReplacer(`\n`, " ", `\r`, " ").Replace(body)), "")
	if strings.Contains(body, "ENCRYPTED") {
		return "", "", keyError("is protected by a passphrase")
	}
	return label, body, nil
}
