package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// Answers that nobody reads take so much memory and no more: the oldest ones are cut
// off, and the others are whole.
func TestAnswersThatNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backlog{most: 3 * largeAnswer}
		l := &pipeListener{make(chan net.Conn, 1)}
		srv := &http.Server{WriteTimeout: writeTimeout, Handler: b.bound(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			size := largeAnswer
			if r.URL.Path == "/small" {
				size--
			}
			_, _ = w.Write(make([]byte, size))
		}))}
		done := make(chan error, 1)
		go func() { done <- srv.Serve(l) }()
		paths := []string{"/small", "/1", "/2", "/3", "/4", "/5"}
		var clients []net.Conn
		for _, path := range paths {
			ours, theirs := net.Pipe()
			l.conns <- theirs
			go func() { _, _ = fmt.Fprintf(ours, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path) }()
			clients = append(clients, ours)
			time.Sleep(leastWait)
		}
		synctest.Wait()
		if b.bytes != b.most || len(b.answers) != 3 {
			t.Errorf("got %d bytes of %d answers, want %d of 3", b.bytes, len(b.answers), b.most)
		}
		for i, c := range clients {
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err == nil {
				_, err = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
			if cut := paths[i] == "/1" || paths[i] == "/2"; cut != (err != nil) {
				t.Errorf("answer to %s: got error %v, want one: %v", paths[i], err, cut)
			}
			_ = c.Close()
		}
		synctest.Wait()
		if b.bytes != 0 || len(b.answers) != 0 {
			t.Errorf("when all are done: got %d bytes of %d answers", b.bytes, len(b.answers))
		}
		close(l.conns)
		_ = srv.Close()
		<-done
	})
}
