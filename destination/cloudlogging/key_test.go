package cloudlogging

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"github.com/sluicelog/sluice"
)

func block(label string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}))
}

func TestKeysThatAreTaken(t *testing.T) {
	account := testAccount()
	normal := account.PEM()
	body := strings.Join(keyLines(normal), "")
	const first, last = "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"
	var file map[string]any
	if err := json.Unmarshal([]byte(account.File()), &file); err != nil {
		t.Fatal(err)
	}
	changed := func(name string, value any) string {
		m := map[string]any{}
		for k, v := range file {
			m[k] = v
		}
		m[name] = value
		out, _ := json.Marshal(m) // strings have a JSON form
		return string(out)
	}
	for _, c := range []struct{ name, in, email string }{
		{"PKCS #8", normal, ""},
		{"PKCS #1", block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(account.Key)), ""},
		{"escapes", strings.ReplaceAll(normal, "\n", `\n`), ""},
		{"escapes of Windows", strings.ReplaceAll(normal, "\n", `\r\n`), ""},
		{"with the quotes of JSON", `"` + strings.ReplaceAll(normal, "\n", `\n`) + `",`, ""},
		{"line ends of Windows", strings.ReplaceAll(normal, "\n", "\r\n"), ""},
		{"blanks around", "\n  " + normal + "\t\n", ""},
		{"line ends lost", first + body + last, ""},
		{"line ends became blanks", first + " " + strings.Join(keyLines(normal), " ") + " " + last, ""},
		{"text around", "Bag Attributes\n    friendlyName: x\n" + normal + "trailing", ""},
		{"key file", account.File(), account.Email},
		{"key file with a mark", "\ufeff" + account.File() + "\r\n", account.Email},
		{"key file with other addresses", changed("token_uri", "https://evil.example/token"), account.Email},
		{"key file with escaped line ends", changed("private_key", strings.ReplaceAll(normal, "\n", `\n`)), account.Email},
	} {
		got, err := readAccount(c.in)
		if err != nil {
			t.Errorf("%s: got %v, want it taken", c.name, err)
			continue
		}
		if string(got.key) != normal || got.email != c.email {
			t.Errorf("%s: got the key %t and e-mail %q, want true and %q", c.name, string(got.key) == normal, got.email, c.email)
		}
	}
}

func TestKeysThatAreRefused(t *testing.T) {
	normal := testAccount().PEM()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := x509.MarshalPKCS8PrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&testAccount().Key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	file := func(kind string) string {
		out, _ := json.Marshal(map[string]string{"type": kind, "client_email": "a@b.example", "private_key": normal, "credential_source": "secret-source"})
		return string(out)
	}
	for _, c := range []struct{ name, in, want string }{
		{"empty", " \n", "is required"},
		{"a word", "hunter2-hunter2", "neither a private key in PEM"},
		{"cut off", normal[:len(normal)/2], "neither a private key in PEM"},
		{"damaged", strings.Replace(normal, "M", "!", 1), "not Base64"},
		{"other content", block("PRIVATE KEY", []byte("hunter2-hunter2")), "cannot be read"},
		{"passphrase", block("ENCRYPTED PRIVATE KEY", []byte("hunter2")), "passphrase"},
		{"old passphrase", "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: DES,1\n\nAAAA\n-----END RSA PRIVATE KEY-----", "passphrase"},
		{"very large", block("PRIVATE KEY", make([]byte, maxDER+1)), "larger than 8192 bits"},
		{"elliptic curve", block("PRIVATE KEY", ecKey), "not a key of RSA"},
		{"public key", block("PUBLIC KEY", public), "not a private key of RSA"},
		{"too long", strings.Repeat("x", maxKey+1), "too long"},
		{"broken JSON", `{"type":"service_account"`, "not valid JSON"},
		{"no type", `{"client_email":"a@b.example"}`, `must be "service_account"`},
		{"unknown type", file("hunter2-hunter2"), `must be "service_account"`},
		{"without key", `{"type":"service_account","client_email":"a@b.example"}`, "without client_email or private_key"},
		{"without e-mail", `{"type":"service_account","private_key":"x"}`, "without client_email or private_key"},
		{"authorized_user", file("authorized_user"), `"authorized_user" (the sign-in of a person)`},
		{"external_account", file("external_account"), `"external_account" (workload identity federation)`},
		{"external_account_authorized_user", file("external_account_authorized_user"), "workforce identity"},
		{"impersonated_service_account", file("impersonated_service_account"), "impersonation"},
		{"gdch_service_account", file("gdch_service_account"), "Distributed Cloud"},
		{"array", `[1]`, "neither a private key in PEM"},
	} {
		_, err := readAccount(c.in)
		e, ok := err.(*sluice.Error)
		if !ok || e.Code != sluice.Invalid || e.Hint == "" {
			t.Errorf("%s: got %#v, want an error with code invalid and a hint", c.name, err)
			continue
		}
		if !strings.Contains(e.Message, c.want) {
			t.Errorf("%s: got %q, want %q in it", c.name, e.Message, c.want)
		}
		text := e.Message + e.Hint
		checkSecrets(t, text)
		if strings.Contains(text, "hunter2") || strings.Contains(text, "secret-source") {
			t.Errorf("%s: got %q, want nothing of what was sent in it", c.name, text)
		}
	}
}

func FuzzReadAccount(f *testing.F) {
	f.Add(testAccount().PEM())
	f.Add(testAccount().File())
	f.Add(`{"type":"external_account","credential_source":{"url":"http://169.254.169.254/"}}`)
	f.Add("-----BEGIN PRIVATE KEY-----AAAA-----END PRIVATE KEY-----")
	f.Add("-----BEGIN -----\\n-----END -----")
	f.Fuzz(func(t *testing.T, in string) {
		a, err := readAccount(in)
		if err != nil {
			if _, ok := err.(*sluice.Error); !ok {
				t.Fatalf("error: got %T, want a *sluice.Error", err)
			}
			return
		}
		again, err := readAccount(string(a.key))
		if err != nil || !bytes.Equal(a.key, again.key) {
			t.Errorf("key that was taken: got %v when it is read again, want the same key", err)
		}
	})
}

func TestAccountIsNotPrinted(t *testing.T) {
	a, err := readAccount(testAccount().File())
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		text := fmt.Sprintf(verb, a) + fmt.Sprintf(verb, &a)
		checkSecrets(t, text)
		if want := "service account " + a.email; !strings.Contains(text, want) || len(text) > 4*len(want) {
			t.Errorf("%s: got %q, want %q alone", verb, text, want)
		}
	}
}
