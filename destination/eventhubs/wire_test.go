package eventhubs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
)

// frame returns an AMQP frame.
func frame(body ...byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(8+len(body)))
	return append(append(out, 2, 0, 0, 0), body...)
}

// disposition returns a disposition of a receiver with the given state.
func disposition(state ...byte) []byte {
	fields := append([]byte{0x41, 0x52, 7, 0x52, 9, 0x41}, state...)
	return frame(append([]byte{0x00, 0x53, 0x15, 0xc0, byte(len(fields) + 1), 5}, fields...)...)
}

// wideDisposition has the same content in the widest encoding.
func wideDisposition(outcome byte) []byte {
	return frame(0x00, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x15, 0xd0, 0, 0, 0, 32, 0, 0, 0, 5,
		0x56, 1, 0x70, 0, 0, 0, 7, 0x70, 0, 0, 0, 9, 0x56, 1, 0x00, 0x80, 0, 0, 0, 0, 0, 0, 0, outcome, 0x45)
}

// extended returns the frame with the longest header there can be.
func extended(f []byte) []byte {
	const header = 4 * 255
	out := binary.BigEndian.AppendUint32(nil, uint32(header+len(f)-8))
	out = append(out, 255, 0, 0, 0)
	return append(append(out, make([]byte, header-8)...), f[8:]...)
}

var header = []byte{'A', 'M', 'Q', 'P', 0, 1, 0, 0}

func TestScanner(t *testing.T) {
	begin := frame(0x00, 0x53, 0x11, 0x45)
	accepted := disposition(0x00, 0x53, 0x24, 0x45)
	sender := frame(0x00, 0x53, 0x15, 0xc0, 8, 5, 0x42, 0x43, 0x43, 0x41, 0x00, 0x53, 0x26, 0x45)
	sasl := frame(0x00, 0x53, 0x15, 0x45)
	sasl[5] = 1
	large := binary.BigEndian.AppendUint32(nil, maxFrame+1)
	for _, c := range []struct {
		name string
		in   [][]byte
		want error
	}{
		{"nothing", nil, nil},
		{"headers and frames", [][]byte{header, sasl, header, begin, accepted}, nil},
		{"keep-alive", [][]byte{frame(), begin}, nil},
		{"rejected", [][]byte{disposition(0x00, 0x53, 0x25, 0x45), wideDisposition(0x25)}, nil},
		{"accepted, wide", [][]byte{wideDisposition(0x24)}, nil},
		{"of a sender", [][]byte{sender}, nil},
		{"released", [][]byte{accepted, disposition(0x00, 0x53, 0x26, 0x45)}, errNotAccepted},
		{"released, wide", [][]byte{wideDisposition(0x26)}, errNotAccepted},
		{"accepted, extended header", [][]byte{extended(accepted), extended(wideDisposition(0x24))}, nil},
		{"released, extended header", [][]byte{accepted, extended(wideDisposition(0x26))}, errNotAccepted},
		{"modified", [][]byte{disposition(0x00, 0x53, 0x27, 0x45)}, errNotAccepted},
		{"received", [][]byte{disposition(0x00, 0x53, 0x23, 0x45)}, errNotAccepted},
		{"no state", [][]byte{disposition(0x40)}, errNotAccepted},
		{"state left out", [][]byte{disposition()}, errNotAccepted},
		{"cut off", [][]byte{frame(0x00, 0x53, 0x15, 0xc0, 3, 1, 0x41)}, errNotAccepted},
		{"too large", [][]byte{begin, large}, errFrameSize},
		{"another protocol", [][]byte{[]byte("\x00\x00\x00\x01")}, errProtocol},
		{"HTTP", [][]byte{[]byte("HTTP/1.1 400 Bad Request\r\n")}, errFrameSize},
	} {
		all := bytes.Join(c.in, nil)
		for _, chunk := range []int{1, 3, 7, len(all) + 1} {
			var s scanner
			passed, err := 0, error(nil)
			for rest := all; len(rest) > 0 && err == nil; {
				n := min(chunk, len(rest))
				var good int
				good, err = s.feed(rest[:n])
				passed += good
				rest = rest[n:]
			}
			if !errors.Is(err, c.want) {
				t.Errorf("%s in chunks of %d: got %v, want %v", c.name, chunk, err, c.want)
			}
			if whole := passed == len(all); whole != (err == nil) {
				t.Errorf("%s in chunks of %d: got %d of %d bytes handed on with %v", c.name, chunk, passed, len(all), err)
			}
		}
	}
}

// TestWireStaysBroken wants every read after a fault to fail.
func TestWireStaysBroken(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	go far.Write(append(disposition(0x00, 0x53, 0x26, 0x45), frame()...))
	w := &wire{Conn: near}
	got, err := io.ReadAll(w)
	if !errors.Is(err, errNotAccepted) || len(got) >= len(disposition(0x00, 0x53, 0x26, 0x45)) {
		t.Errorf("read: got %d bytes, %v, want less than the frame and %v", len(got), err, errNotAccepted)
	}
	if _, err := w.Read(make([]byte, 1)); !errors.Is(err, errNotAccepted) || !errors.Is(w.broken(), errNotAccepted) {
		t.Errorf("second read: got %v, want %v", err, errNotAccepted)
	}
}

func FuzzScanner(f *testing.F) {
	f.Add(bytes.Join([][]byte{header, frame(0x00, 0x53, 0x11, 0x45), disposition(0x00, 0x53, 0x24, 0x45)}, nil), 3)
	f.Add(wideDisposition(0x26), 1)
	f.Fuzz(func(t *testing.T, in []byte, at int) {
		var whole, cut scanner
		n, err := whole.feed(in)
		if n > len(in) || n < len(in) && err == nil {
			t.Fatalf("feed: got %d of %d bytes with %v", n, len(in), err)
		}
		at = max(0, min(at, len(in)))
		first, firstErr := cut.feed(in[:at])
		second, secondErr := 0, firstErr
		if firstErr == nil {
			second, secondErr = cut.feed(in[at:])
		}
		if !errors.Is(secondErr, err) || err == nil && first+second != n || whole.begins != cut.begins {
			t.Errorf("feed in two: got %d and %v, want %d and %v", first+second, secondErr, n, err)
		}
	})
}
