package destination

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"time"
)

// ResponseTimeout is how long a receiver may take to begin its answer, counted
// from the last byte of the request.
const ResponseTimeout = 30 * time.Second

// TLSOptions says how the far side proves who it is.
type TLSOptions struct {
	// SkipVerify accepts any certificate: an owner's explicit choice.
	SkipVerify bool
	// RootCAs are the authorities to trust; nil means the system's.
	RootCAs *x509.CertPool
	// Certificates are presented when the far side asks for one.
	Certificates []tls.Certificate
}

// Config returns the client configuration for the options: TLS 1.2 or later.
func (o TLSOptions) Config() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: o.SkipVerify,
		RootCAs:            o.RootCAs,
		Certificates:       o.Certificates,
	}
}

// NewTransport returns the transport that every kind that speaks HTTP uses: its
// sockets come from env.Dialer, proxies of the environment are ignored, and it
// speaks HTTP/1.1 alone, because one connection must not be able to stall all
// requests under way and because bodies are then sent without a copy (see
// [Body]). Its RoundTrip does not follow redirects; a library that insists on a
// client gets [NewClient].
//
// Write buffers hold header and a small body, so that an event is one system
// call; thousands of idle connections cannot afford more.
func NewTransport(env Env, options TLSOptions) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		DialContext:            env.Dialer.DialContext,
		TLSClientConfig:        options.Config(),
		TLSHandshakeTimeout:    10 * time.Second,
		Protocols:              protocols,
		DisableCompression:     true, // an answer must not unpack into more than was read
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        30 * time.Second,
		ResponseHeaderTimeout:  ResponseTimeout,
		MaxResponseHeaderBytes: 64 << 10,
		WriteBufferSize:        4 << 10,
		ReadBufferSize:         4 << 10,
	}
}

// maxIdle bounds the connections that are kept open without use, over all
// destinations that share a transport.
const maxIdle = 1024

// SharedTransport returns the transport that all destinations of a host without
// authorities or certificates of their own share, one for verified and one for
// unverified connections. Ten thousand streams that deliver now and then must not
// keep ten thousand connections open, and streams to the same receiver use the
// same ones. The caller calls release once, when it is done; idle connections are
// closed when nobody uses the transport any more.
func SharedTransport(env Env, skipVerify bool) (t *http.Transport, release func()) {
	d := env.Dialer
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.shared[skipVerify]
	if s == nil {
		s = &sharedTransport{transport: NewTransport(env, TLSOptions{SkipVerify: skipVerify})}
		s.transport.MaxIdleConns, s.transport.MaxIdleConnsPerHost = maxIdle, maxIdle/4
		s.release = func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			if s.users--; s.users == 0 {
				s.transport.CloseIdleConnections()
			}
		}
		if d.shared == nil {
			d.shared = map[bool]*sharedTransport{}
		}
		d.shared[skipVerify] = s
	}
	s.users++
	return s.transport, s.release
}

// sharedTransport counts who uses a transport; the Dialer's lock guards it.
type sharedTransport struct {
	transport *http.Transport
	users     int
	release   func() // the same for all of them
}

// NewClient returns a client over t that hands out redirects instead of
// following them: Go turns a redirected POST into a GET without a body, whose
// 200 would look like an acceptance.
func NewClient(t http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
