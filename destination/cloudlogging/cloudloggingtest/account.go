package cloudloggingtest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
)

// Account is a service account with a key of its own.
type Account struct {
	Project string
	Email   string
	Key     *rsa.PrivateKey
}

// NewAccount makes an account in the project with a new key of 2,048 bits.
func NewAccount(project string) (Account, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	return Account{Project: project, Email: "sluice@" + project + ".iam.gserviceaccount.com", Key: key}, err
}

// PEM returns the private key as a JSON key file holds it.
func (a Account) PEM() string {
	der, err := x509.MarshalPKCS8PrivateKey(a.Key)
	if err != nil {
		panic(err) // every RSA key has this form
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// File returns a JSON key file as Google Cloud hands it out.
func (a Account) File() string {
	out, err := json.MarshalIndent(map[string]string{
		"type":                        "service_account",
		"project_id":                  a.Project,
		"private_key_id":              "0123456789abcdef0123456789abcdef01234567",
		"private_key":                 a.PEM(),
		"client_email":                a.Email,
		"client_id":                   "123456789012345678901",
		"auth_uri":                    "https://accounts.google.com/o/oauth2/auth",
		"token_uri":                   "https://oauth2.googleapis.com/token",
		"auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
		"universe_domain":             "googleapis.com",
	}, "", "  ")
	if err != nil {
		panic(err) // strings have a JSON form
	}
	return string(out)
}

// Config returns a [Config] with the account in its project.
func (a Account) Config() Config {
	return Config{Project: a.Project, Email: a.Email, Key: &a.Key.PublicKey}
}
