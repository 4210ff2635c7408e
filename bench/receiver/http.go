package receiver

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"time"

	"github.com/sluicelog/sluice/bench/sink"
)

// collect is an HTTP Event Collector over TLS that accepts everything.
func collect(ctx context.Context, dir string, out io.Writer) error {
	certificate, err := selfSigned()
	if err != nil {
		return err
	}
	ln, err := listen()
	if err != nil {
		return err
	}
	s := &sink.Sink{Reply: func(string) string { return `{"text":"Success","code":0}` }}
	config := &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	return serveSink(ctx, dir, out, s, tls.NewListener(ln, config))
}

// google is Cloud Logging and its token endpoint, without TLS.
func google(ctx context.Context, dir string, out io.Writer) error {
	s := &sink.Sink{Reply: func(path string) string {
		if path == TokenPath {
			return `{"access_token":"any","expires_in":3600,"token_type":"Bearer"}`
		}
		return "{}"
	}}
	return serveSink(ctx, dir, out, s, nil)
}

// TokenPath is where [Google] grants tokens.
const TokenPath = "/token"

// selfSigned makes a certificate for loopback.
func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make certificate: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "collector"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
