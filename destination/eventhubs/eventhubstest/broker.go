// Package eventhubstest starts the AMQP broker of testservers/amqpbroker, which
// looks like Azure Event Hubs to a sender, for tests and the bench. Its README
// lists the hubs and how they behave.
package eventhubstest

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Keys that every broker knows.
const (
	KeyName     = "send" // may send
	Key         = "kEy+of/the=SEND=policy=0123456789=="
	ListenName  = "listen" // may not send
	ListenKey   = "kEy+of/the=LISTEN=policy=012345678=="
	python      = "/usr/bin/python3"
	packageName = "python3-qpid-proton"
)

// Message is a batch that arrived.
type Message struct {
	Number int     `json:"message"`
	Hub    string  `json:"hub"`
	Key    *string `json:"key"` // partition key of the batch
	Size   int     `json:"size"`
	Events []Event `json:"events"`
}

// Event is an event of a batch, as the broker's library decoded it.
type Event struct {
	ID          string         `json:"id"`
	ContentType string         `json:"content_type"`
	Key         *string        `json:"key"`
	Properties  map[string]any `json:"properties"`
	Body        string         `json:"body"`
}

// ListenOptions says how a listener behaves.
type ListenOptions struct {
	// Certificate and Key are PEM files; without them it speaks without TLS.
	Certificate, Key string
	// Answer decides about each message: "accept", "refuse", "busy", "cut",
	// "store-and-cut", "store-and-garbage" or "hang". Without it the hub's name
	// decides. It is called by one goroutine at a time.
	Answer func(Message) string
	// Refuse refuses every token with 401, and repeats it.
	Refuse bool
}

// Broker is a running broker. Its methods may be called by several goroutines at
// once.
type Broker struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	done  chan struct{} // closed when the reports have ended
	words *tail         // what it wrote to standard error

	mu        sync.Mutex
	writing   sync.Mutex // held while a command is written
	listeners []*Listener
	messages  []Message
	stored    map[string][]string   // ids by hub
	asked     map[string][]chan int // waiting for counts
}

// Listener is a port of a broker.
type Listener struct {
	Port        int
	id          int
	broker      *Broker
	answer      func(Message) string
	port        chan int
	done        chan struct{} // a command was carried out
	connections int           // guarded by the broker's mu
}

// Start starts a broker, which Close ends. It needs Debian's package
// python3-qpid-proton and the module's source.
func Start() (*Broker, error) {
	script, err := source()
	if err != nil {
		return nil, err
	}
	b := &Broker{
		cmd: exec.Command(python, "-B", script), words: &tail{}, done: make(chan struct{}),
		stored: map[string][]string{}, asked: map[string][]chan int{},
	}
	b.cmd.Stderr = b.words
	if b.in, err = b.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start AMQP broker: %w", err)
	}
	out, err := b.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start AMQP broker: %w", err)
	}
	if err := b.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start AMQP broker: install Debian's package %s: %w", packageName, err)
	}
	ready := make(chan struct{})
	go b.read(bufio.NewReaderSize(out, 1<<20), ready)
	select {
	case <-ready:
	case <-b.done:
		_ = b.cmd.Wait() // until all of its words are here
		return nil, fmt.Errorf("start AMQP broker: install Debian's package %s: %s", packageName, b.words)
	case <-time.After(time.Minute):
		return nil, errors.Join(errors.New("start AMQP broker: it is not ready after a minute"), b.Close())
	}
	b.command(map[string]any{"do": "key", "name": KeyName, "key": Key, "rights": []string{"send"}})
	b.command(map[string]any{"do": "key", "name": ListenName, "key": ListenKey, "rights": []string{"listen"}})
	return b, nil
}

// source returns the broker's file, from the module that the working directory
// lies in.
func source() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find AMQP broker: %w", err)
	}
	for {
		path := filepath.Join(dir, "testservers", "amqpbroker", "broker.py")
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("find AMQP broker: testservers/amqpbroker is not above the working directory")
		}
		dir = up
	}
}

// Close ends the broker and returns when it is gone.
func (b *Broker) Close() error {
	b.in.Close()
	<-b.done
	if err := b.cmd.Wait(); err != nil {
		return fmt.Errorf("end AMQP broker: %w: %s", err, b.words)
	}
	return nil
}

// Listen opens a port. Answer must not call methods of the broker.
func (b *Broker) Listen(o ListenOptions) (*Listener, error) {
	l := &Listener{broker: b, answer: o.Answer, port: make(chan int, 1), done: make(chan struct{}, 1)}
	b.mu.Lock()
	b.listeners = append(b.listeners, l)
	l.id = len(b.listeners)
	b.mu.Unlock()
	b.command(map[string]any{"do": "listen", "id": l.id, "certificate": o.Certificate, "key": o.Key,
		"scripted": o.Answer != nil, "refuse": o.Refuse})
	select {
	case l.Port = <-l.port:
		return l, nil
	case <-b.done:
		return nil, fmt.Errorf("listen with AMQP broker: it has ended: %s", b.words)
	}
}

// SetKey makes or replaces a key that may send. It has happened when SetKey
// returns.
func (b *Broker) SetKey(name, key string) {
	b.command(map[string]any{"do": "key", "name": name, "key": key})
	b.Count("") // commands are carried out one after another
}

// Messages returns the batches that arrived at a hub, stored or not.
func (b *Broker) Messages(hub string) []Message {
	b.Count(hub) // what was reported before the answer has been read
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []Message
	for _, m := range b.messages {
		if m.Hub == hub {
			out = append(out, m)
		}
	}
	return out
}

// Stored returns the ids of the events that a hub stored, in order.
func (b *Broker) Stored(hub string) []string {
	b.Count(hub) // see Messages
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.stored[hub]...)
}

// Count asks how many events a hub has stored; -1 when the broker is gone.
func (b *Broker) Count(hub string) int {
	answer := make(chan int, 1)
	b.mu.Lock()
	b.asked[hub] = append(b.asked[hub], answer)
	b.mu.Unlock()
	b.command(map[string]any{"do": "count", "hub": hub})
	select {
	case n := <-answer:
		return n
	case <-b.done:
		return -1
	}
}

// Host returns "127.0.0.1:PORT".
func (l *Listener) Host() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(l.Port)) }

// Connections returns how many connections peers have opened so far.
func (l *Listener) Connections() int {
	l.broker.Count("") // see Messages
	l.broker.mu.Lock()
	defer l.broker.mu.Unlock()
	return l.connections
}

// Drop resets all connections.
func (l *Listener) Drop() { l.wait("drop") }

// Detach detaches all links, as a service does with idle ones.
func (l *Listener) Detach() { l.wait("detach") }

// Close stops listening and resets all connections.
func (l *Listener) Close() { l.broker.command(map[string]any{"do": "close", "id": l.id}) }

func (l *Listener) wait(do string) {
	l.broker.command(map[string]any{"do": do, "id": l.id})
	select {
	case <-l.done:
	case <-l.broker.done:
	}
}

// command sends a line. That the broker is gone shows when it is asked.
func (b *Broker) command(line map[string]any) {
	data, err := json.Marshal(line)
	if err != nil {
		panic(err) // strings and numbers always have a JSON form
	}
	b.writing.Lock()
	defer b.writing.Unlock()
	_, _ = b.in.Write(append(data, '\n'))
}

// read follows the reports until they end.
func (b *Broker) read(r *bufio.Reader, ready chan struct{}) {
	defer close(b.done)
	for {
		data, err := r.ReadBytes('\n')
		if err != nil {
			return
		}
		var kind struct{ Event string }
		if err := json.Unmarshal(data, &kind); err != nil {
			fmt.Fprintf(b.words, "unreadable report: %s", data)
			return
		}
		if kind.Event == "ready" {
			close(ready)
			continue
		}
		if err := b.report(kind.Event, data); err != nil {
			fmt.Fprintf(b.words, "unreadable report: %v: %s", err, data)
			return
		}
	}
}

func (b *Broker) report(event string, data []byte) error {
	switch event {
	case "message":
		return b.message(data)
	case "stored":
		var v struct {
			Hub string
			IDs []string
		}
		if err := json.Unmarshal(data, &v); err != nil {
			return err
		}
		b.mu.Lock()
		b.stored[v.Hub] = append(b.stored[v.Hub], v.IDs...)
		b.mu.Unlock()
		return nil
	}
	var v struct {
		ID, Port, Events int
		Hub              string
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch event {
	case "count":
		waiting := b.asked[v.Hub]
		waiting[0] <- v.Events
		b.asked[v.Hub] = waiting[1:]
	case "listening":
		b.listeners[v.ID-1].port <- v.Port
	case "connection":
		b.listeners[v.ID-1].connections++
	case "done":
		b.listeners[v.ID-1].done <- struct{}{}
	}
	return nil
}

// message keeps a batch and answers it when the listener's owner decides.
func (b *Broker) message(data []byte) error {
	var v struct {
		ID  int
		Ask bool
		Message
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return err
	}
	b.mu.Lock()
	l := b.listeners[v.ID-1]
	b.messages = append(b.messages, v.Message)
	b.mu.Unlock()
	if v.Ask {
		b.command(map[string]any{"do": "answer", "message": v.Number, "act": l.answer(v.Message)})
	}
	return nil
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	t.text = t.text[max(0, len(t.text)-4096):]
	return len(p), nil
}

// String returns the last line: Python ends a trace with the reason.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(t.text)), "\n")
	return lines[len(lines)-1]
}
