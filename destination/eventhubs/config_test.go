package eventhubs

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

const (
	goodHost = "Endpoint=sb://acme.servicebus.windows.net/"
	goodKey  = "c2VjcmV0LWtleS1vZi0zMi1ieXRlcy1pbi1iYXNlNjQ="
	good     = goodHost + ";SharedAccessKeyName=sluice;SharedAccessKey=" + goodKey
	goodSAS  = "SharedAccessSignature sr=amqps%3a%2f%2facme.servicebus.windows.net%2fhub&sig=c2lnbmF0dXJl%3D&se=1893456000&skn=sluice"
)

func checkConfig(config, connection string, rules destination.Rules) (string, error) {
	secrets := destination.Secrets{}
	if connection != "" {
		secrets[ConnectionString] = connection
	}
	out, err := Kind{}.Check(json.RawMessage(config), secrets, rules)
	return string(out), err
}

func wantInvalid(t *testing.T, what string, err error, want string) {
	t.Helper()
	e, ok := errors.AsType[*sluice.Error](err)
	if !ok || e.Code != sluice.Invalid || !strings.Contains(e.Message, want) {
		t.Errorf("%s: got %v, want invalid: %s", what, err, want)
	}
}

func TestCanonicalForm(t *testing.T) {
	for in, want := range map[string]string{
		`{"name":" hub "}`:                          `{"name":"hub","partition_by":"top_level"}`,
		`{"name":"a","partition_by":null}`:          `{"name":"a","partition_by":"top_level"}`,
		`{"name":"A.b-c_9","partition_by":"none"}`:  `{"name":"A.b-c_9","partition_by":"none"}`,
		`{"name":"hub","partition_by":"namespace"}`: `{"name":"hub","partition_by":"namespace"}`,
	} {
		got, err := checkConfig(in, good, destination.Rules{})
		if err != nil || got != want {
			t.Errorf("Check of %s: got %s, %v, want %s", in, got, err, want)
		}
		if again, err := checkConfig(got, good, destination.Rules{}); err != nil || again != got {
			t.Errorf("Check of its own answer: got %s, %v, want %s", again, err, got)
		}
	}
}

func TestWrongConfigurations(t *testing.T) {
	for in, want := range map[string]string{
		``:                "config.name is required",
		`{"name":" "}`:    "config.name is required",
		`{"name":7}`:      "config.name must be a string",
		`{"name":"a/b"}`:  "config.name is not the name of an event hub",
		`{"name":"-a"}`:   "config.name is not the name of an event hub",
		`{"name":"a."}`:   "config.name is not the name of an event hub",
		`{"name":"$cbs"}`: "config.name is not the name of an event hub",
		`{"name":"ä"}`:    "config.name is not the name of an event hub",
		`{"name":"` + strings.Repeat("a", 257) + `"}`: "config.name is not the name of an event hub",
		`{"name":"a","partition_by":"key"}`:           `config.partition_by must be "top_level", "namespace" or "none"`,
		`{"name":"a","partition_by":""}`:              "config.partition_by must be",
		`{"name":"a","connection_string":""}`:         `config has no field "connection_string"`,
	} {
		_, err := checkConfig(in, good, destination.Rules{})
		wantInvalid(t, in, err, want)
	}
	_, err := Kind{}.Check(json.RawMessage(`{"name":"a"}`), destination.Secrets{ConnectionString: good, "token": "x"}, destination.Rules{})
	wantInvalid(t, "unknown secret", err, `secrets has no field "token"`)
}

func TestConnectionStrings(t *testing.T) {
	key := connection{Host: "acme.servicebus.windows.net", Port: "5671", KeyName: "sluice", Key: goodKey}
	withPort, emulator, v6, signed := key, key, key, connection{Host: key.Host, Port: key.Port, Signature: goodSAS}
	withPort.Port = "9999"
	emulator.Host, emulator.Port, emulator.emulator = "localhost", "5672", true
	v6.Host, v6.Port = "::1", "5671"
	credentials := ";SharedAccessKeyName=sluice;SharedAccessKey=" + goodKey
	for in, want := range map[string]connection{
		good:                      key,
		" " + good + ";\n":        key,
		good + ";EntityPath=hub":  key,
		good + ";EntityPath=HUB;": key,
		"SHAREDACCESSKEY=" + goodKey + ";entitypath=hub;sharedaccesskeyname=sluice;ENDPOINT=SB://acme.servicebus.windows.net": key,
		" Endpoint = sb://acme.servicebus.windows.net/ ; SharedAccessKeyName = sluice ; SharedAccessKey = " + goodKey:         key,
		"Endpoint=sb://acme.servicebus.windows.net:9999/" + credentials:                                                       withPort,
		"Endpoint=sb://[::1]" + credentials:                                       v6,
		goodHost + ";SharedAccessSignature=" + goodSAS:                            signed,
		goodHost + ";SharedAccessSignature=" + goodSAS + ";EntityPath=hub":        signed,
		"Endpoint=sb://localhost" + credentials + ";UseDevelopmentEmulator=true;": emulator,
		"Endpoint=sb://localhost" + credentials + ";usedevelopmentemulator=True":  emulator,
		good + ";UseDevelopmentEmulator=false":                                    key,
	} {
		got, err := parseConnection(in, "hub")
		if err != nil || got != want {
			t.Errorf("parse %q: got %+v of %s port %s, %v, want %s port %s", in, got, got.Host, got.Port, err, want.Host, want.Port)
		}
	}
}

func TestWrongConnectionStrings(t *testing.T) {
	for in, want := range map[string]string{
		"":                                       "is required",
		goodKey:                                  "has a part that is not known here",
		"sb://acme.servicebus.windows.net":       "has a part that is not KEY=VALUE",
		good + ";Transport=x":                    "has a part that is not known here",
		good + "; ;" + goodHost:                  "has Endpoint twice",
		goodHost:                                 "has no SharedAccessKeyName",
		goodHost + ";SharedAccessKeyName=a":      "has no SharedAccessKey",
		goodHost + ";SharedAccessKey=" + goodKey: "has no SharedAccessKeyName",
		"SharedAccessKeyName=a;SharedAccessKey=" + goodKey:                   "has no Endpoint",
		strings.Replace(good, "sb://", "https://", 1):                        "has an Endpoint that must look like",
		strings.Replace(good, "sb://", "", 1):                                "has an Endpoint that must look like",
		strings.Replace(good, "sb://acme", "sb://a:b@acme", 1):               "has an Endpoint that must look like",
		strings.Replace(good, ".net/", ".net/hub", 1):                        "has an Endpoint that must look like",
		strings.Replace(good, ".net/", ".net/?a=b", 1):                       "has an Endpoint that must look like",
		strings.Replace(good, "acme.", "ac me.", 1):                          "has an Endpoint that must look like",
		strings.Replace(good, "acme.", "äcme.", 1):                           "has an Endpoint that must look like",
		strings.Replace(good, ".net/", ".net:0/", 1):                         "a port that is not 1 to 65535",
		strings.Replace(good, ".net/", ".net:70000/", 1):                     "a port that is not 1 to 65535",
		good + ";SharedAccessSignature=" + goodSAS:                           "has both",
		goodHost + ";SharedAccessSignature=" + goodSAS[10:]:                  "a SharedAccessSignature that is not one",
		goodHost + ";SharedAccessSignature=SharedAccessSignature sr=a&sig=b": "a SharedAccessSignature that is not one",
		good + ";EntityPath=other":                                           "is for the event hub other, but config.name is hub",
		good + ";EntityPath=":                                                "has an EntityPath that is not the name of an event hub",
		good + ";EntityPath=" + goodKey:                                      "has an EntityPath that is not the name of an event hub",
		good + ";UseDevelopmentEmulator=maybe":                               "neither true nor false",
		good + "\x00":                                                        "must be one line of printable characters",
		good + "\nx":                                                         "must be one line of printable characters",
		strings.Repeat("x", maxConnectionString+1):                           "must have at most",
	} {
		_, err := checkConfig(`{"name":"hub"}`, in, destination.Rules{})
		wantInvalid(t, in, err, want)
		if err != nil && strings.Contains(err.Error(), goodKey) {
			t.Errorf("error of %q: got %v, want the key not shown", in, err)
		}
	}
}

func TestEmulatorNeedsRules(t *testing.T) {
	s := good + emulated
	_, err := checkConfig(`{"name":"hub"}`, s, destination.Rules{Administrator: true})
	wantInvalid(t, "emulator", err, "speaks without encryption")
	if _, err := checkConfig(`{"name":"hub"}`, s, destination.Rules{AllowInsecure: true}); err != nil {
		t.Errorf("emulator with AllowInsecure: got %v, want nil", err)
	}
}

// TestHostIsJudgedWhenSaved wants the host of the connection string to obey the
// operator's rules before anything is dialled.
func TestHostIsJudgedWhenSaved(t *testing.T) {
	d := destination.NewDialer(destination.DialerConfig{})
	for host, refused := range map[string]bool{"127.0.0.1": true, "[::1]:5671": true, "169.254.169.254": true, "8.8.8.8": false} {
		secrets := destination.Secrets{ConnectionString: withKey(host, "a", goodKey)}
		if got := destination.CheckSecretHosts(t.Context(), d, Kind{}, secrets) != nil; got != refused {
			t.Errorf("refused %s: got %t, want %t", host, got, refused)
		}
	}
	if err := destination.CheckSecretHosts(t.Context(), d, Kind{}, nil); err != nil {
		t.Errorf("without secrets: got %v, want nil", err)
	}
}

func FuzzConnectionString(f *testing.F) {
	for _, s := range []string{good, good + ";EntityPath=hub", goodHost + ";SharedAccessSignature=" + goodSAS, good + emulated, "=", ";;", "a=b=c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := parseConnection(s, "hub")
		if err != nil {
			var e *sluice.Error
			if !errors.As(err, &e) || e.Code != sluice.Invalid {
				t.Fatalf("parse %q: got %v, want an invalid", s, err)
			}
			return
		}
		if c.Host == "" || c.Port == "" || (c.Key == "") == (c.Signature == "") {
			t.Errorf("parse %q: got host %q, port %q, want them and one credential", s, c.Host, c.Port)
		}
		spaced := strings.ReplaceAll(strings.TrimSpace(s), ";", " ; ") + ";"
		again, err := parseConnection(spaced, "hub")
		if len(spaced) <= maxConnectionString && (err != nil || again != c) {
			t.Errorf("parse of %q with blanks: got %v, want the same", s, err)
		}
	})
}
