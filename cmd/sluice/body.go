package main

import (
	"io"
	"net/http"
	"time"
)

// bodyTime is how long the body of a request may take on every surface but those
// for events, which have limits of their own for the bodies that they read. It goes
// for requests that are refused without being read, too: the server reads what is
// left of a short body before it answers.
const bodyTime = 30 * time.Second

// inTime bounds the time of the bodies that h gets.
func inTime(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			b := &body{ReadCloser: r.Body, control: http.NewResponseController(w)}
			_ = b.control.SetReadDeadline(time.Now().Add(bodyTime)) // connections without deadlines are those of tests
			r.Body = b
		}
		h.ServeHTTP(w, r)
	})
}

// body is a body that has a deadline until it has ended. One that stayed would
// look later as if the client had gone.
type body struct {
	io.ReadCloser
	control *http.ResponseController
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}
