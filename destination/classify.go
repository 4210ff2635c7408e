package destination

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
)

// Classify judges an error of a socket, of TLS or of net/http that kept a
// request from being answered; nil stays nil. Its message does not repeat what
// the far side sent. What it does not know is Unavailable: trying again is
// never wrong, holding a stream can be.
func Classify(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	// The order matters: libraries wrap a bad certificate in network errors.
	for _, judge := range []func(error) *Error{refused, certificate, tlsAlert, lookup, timeout, network} {
		if e := judge(err); e != nil {
			return e
		}
	}
	return unavailable("the connection failed")
}

// NotSent reports whether an error of net/http leaves no doubt that nothing of
// the request was sent: there was no connection to send it on.
func NotSent(err error) bool {
	return err != nil && (refused(err) != nil || certificate(err) != nil || lookup(err) != nil || isDial(err))
}

func unavailable(format string, args ...any) *Error {
	return &Error{Class: Unavailable, Message: fmt.Sprintf(format, args...)}
}

func timedOut(message string) *Error {
	return &Error{Class: Unavailable, Message: message, TimedOut: true}
}

func misconfigured(format string, args ...any) *Error {
	return &Error{Class: Misconfigured, Message: fmt.Sprintf(format, args...)}
}

func refused(err error) *Error {
	if e, ok := errors.AsType[*RefusedError](err); ok {
		return misconfigured("%v; %s", e, e.Hint())
	}
	return nil
}

func certificate(err error) *Error {
	if e, ok := errors.AsType[x509.HostnameError](err); ok {
		return misconfigured("the certificate is not for %s: check the address or the certificate's names", e.Host)
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return misconfigured("the certificate is signed by an authority that is not trusted here")
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		if e.Reason == x509.Expired {
			return misconfigured("the certificate has expired or is not valid yet")
		}
		return misconfigured("the certificate is not valid")
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return misconfigured("the certificate could not be verified")
	}
	return nil
}

func tlsAlert(err error) *Error {
	if errors.Is(err, http.ErrSchemeMismatch) {
		return misconfigured("the destination does not speak TLS at this port: check address and port")
	}
	if e, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		if e.Conn == nil { // crypto/tls gives it with the first record only
			return unavailable("the destination broke the TLS connection: it sent something else in the middle of it; " +
				"when this goes on, look at it, or at the proxy in between")
		}
		return misconfigured("the destination does not speak TLS at this port: check address and port")
	}
	// crypto/tls reports an alert of the far side as an OpError of this kind.
	e, ok := errors.AsType[*net.OpError](err)
	if !ok || e.Op != "remote error" {
		return nil
	}
	if e.Err != nil && e.Err.Error() == "tls: internal error" {
		return unavailable("the destination broke off the TLS connection with an internal error")
	}
	return misconfigured("the destination broke off the TLS connection (%v): "+
		"it may want another protocol version or a client certificate", e.Err)
}

func lookup(err error) *Error {
	e, ok := errors.AsType[*net.DNSError](err)
	switch {
	case !ok:
		return nil
	case e.IsNotFound:
		return unavailable("the host name %s is not known: check the name, or wait for its DNS entry", e.Name)
	}
	failed := unavailable("the host name %s could not be looked up just now", e.Name)
	failed.TimedOut = e.Timeout()
	return failed
}

func timeout(err error) *Error {
	if errors.Is(err, context.Canceled) {
		return unavailable("the delivery was interrupted")
	}
	dial := isDial(err)
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, syscall.ETIMEDOUT) {
		if dial {
			return timedOut("no connection in time: a firewall may drop it, or the host is down")
		}
		return timedOut("no answer in time")
	}
	return nil
}

func isDial(err error) bool {
	e, ok := errors.AsType[*net.OpError](err)
	return ok && e.Op == "dial"
}

func network(err error) *Error {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return unavailable("the connection was refused: nothing listens at this address and port")
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNABORTED):
		return unavailable("the destination reset the connection before it answered")
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return unavailable("there is no route to the destination")
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return unavailable("this server has no file descriptor left for the connection")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return unavailable("the destination closed the connection before it answered")
	case isDial(err):
		return unavailable("the connection could not be made")
	}
	return nil
}
