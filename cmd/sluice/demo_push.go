package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sluicelog/sluice/githook"
)

// demoStep is one push of the demo: git commands in the work tree, then a push.
type demoStep struct {
	what    string
	ref     string
	prepare [][]string
	push    []string
}

func demoSteps() []demoStep {
	commit := func(message string) []string {
		return []string{"commit", "--quiet", "--allow-empty", "-m", message}
	}
	return []demoStep{
		{"three commits to a new branch", "refs/heads/main", [][]string{commit("one"), commit("two"), commit("three")}, []string{"main"}},
		{"a commit more", "refs/heads/main", [][]string{commit("four")}, []string{"main"}},
		{"a topic branch", "refs/heads/topic", [][]string{{"checkout", "--quiet", "-b", "topic"}, commit("try")}, []string{"topic"}},
		{"a tag", "refs/tags/v1.0", [][]string{{"tag", "-a", "-m", "first", "v1.0", "main"}}, []string{"v1.0"}},
		{"a force push", "refs/heads/topic", [][]string{{"commit", "--quiet", "--amend", "--allow-empty", "-m", "try again"}}, []string{"--force", "topic"}},
		{"the topic branch deleted", "refs/heads/topic", nil, []string{":topic"}},
	}
}

// accepted is what the verbose hook tells whoever pushes.
const acceptedPattern = `sluice: \d+ accepted, the last ([0-9a-f-]+) \((\w+) (\d+)\)`

func (d *demo) pushes(ctx context.Context) error {
	accepted := regexp.MustCompile(acceptedPattern)
	for _, step := range demoSteps() {
		for _, args := range step.prepare {
			if _, err := d.git(ctx, d.work(), args...); err != nil {
				return err
			}
		}
		begun := time.Now()
		out, err := d.git(ctx, d.work(), append([]string{"push", "origin"}, step.push...)...)
		if err != nil {
			return err
		}
		p := demoPush{What: step.what, Ref: step.ref, AcceptMS: milliseconds(time.Since(begun))}
		found := accepted.FindStringSubmatch(out)
		if found == nil { // on a busy machine its time may be over
			sent, err := d.flush(ctx)
			if found = accepted.FindStringSubmatch(sent); found == nil {
				return errors.Join(fmt.Errorf("demo: the push was not accepted:\n%s%s", out, sent), err)
			}
		}
		p.ID, p.Partition = found[1], found[2]
		if p.Seq, err = strconv.ParseUint(found[3], 10, 64); err != nil {
			return fmt.Errorf("demo: %w", err)
		}
		if err := d.arrive(ctx, &p); err != nil {
			return err
		}
		d.result.Pushes = append(d.result.Pushes, p)
	}
	return nil
}

// flush sends what the hook has left behind and returns what it would have told.
func (d *demo) flush(ctx context.Context) (told string, err error) {
	ctx, cancel := context.WithTimeout(ctx, demoWait)
	defer cancel()
	repo, err := githook.OpenRepository(ctx, d.bare(), d.gitEnv())
	if err != nil {
		return "", err
	}
	cfg, err := repo.Config(ctx)
	if err != nil {
		return "", err
	}
	c, err := connectHook(d.env)(cfg)
	if err != nil {
		return "", err
	}
	defer c.Close()
	_, err = repo.Spool(cfg).Flush(ctx, c, func(line string) { told += line + "\n" })
	return told, err
}

// arrive waits for the push's event at the receiver and shows its way.
func (d *demo) arrive(ctx context.Context, p *demoPush) error {
	d.out.step("push", "%s (%s)", p.What, p.Ref)
	d.out.sub("accepted", "id %s, the push took %.0f ms", p.ID, p.AcceptMS)
	d.out.sub("stored", "%s %d, on disk before the answer", p.Partition, p.Seq)
	var got caught
	err := d.await(ctx, "event "+p.ID+" at the receiver", func() (bool, error) {
		var ok bool
		got, ok = d.catcher.take(p.ID)
		return ok, nil
	})
	if err != nil {
		return fmt.Errorf("%w\n%s", err, d.catcher.complaints())
	}
	if got.Ref != p.Ref {
		return fmt.Errorf("demo: event %s arrived with ref %q, want %q", p.ID, got.Ref, p.Ref)
	}
	p.DeliverMS = milliseconds(got.at.Sub(time.UnixMilli(got.CreatedAt)))
	d.out.sub("delivered", "to the receiver, %.0f ms after the hook began", p.DeliverMS)
	d.out.sub("says", "%s", got.summary())
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// caught is an event at the receiver.
type caught struct {
	ID          string `json:"id"`
	CreatedAt   int64  `json:"created_at"`
	Actor       string `json:"actor"`
	Ref         string `json:"ref"`
	Before      string `json:"before"`
	After       string `json:"after"`
	CommitCount int    `json:"commit_count"`
	Forced      bool   `json:"forced"`

	at time.Time
}

func (c *caught) summary() string {
	text := fmt.Sprintf("%s moved it from %.8s to %.8s, commits: %d", c.Actor, c.Before, c.After, c.CommitCount)
	if c.Forced {
		text += ", history rewritten"
	}
	return text
}

// receiver is a destination on loopback: it verifies the stream's token and
// keeps what it gets by id.
type receiver struct {
	token    string
	listener net.Listener
	server   *http.Server
	ended    sync.WaitGroup

	mu     sync.Mutex
	events map[string]caught
	wrong  []string
}

func newReceiver() (*receiver, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("demo: %w", err)
	}
	r := &receiver{token: rand.Text()[:24], listener: l, events: make(map[string]caught)}
	r.server = &http.Server{Handler: r, ReadTimeout: demoWait}
	r.ended.Go(func() { r.server.Serve(l) })
	return r, nil
}

func (r *receiver) url() string { return "http://" + r.listener.Addr().String() + "/events" }

func (r *receiver) close() {
	r.server.Close()
	r.ended.Wait()
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(io.LimitReader(req.Body, 16*mib))
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if req.Header.Get("X-Gitlab-Event-Streaming-Token") != r.token {
		r.wrong = append(r.wrong, "a request without the stream's token")
		http.Error(w, "wrong token", http.StatusUnauthorized)
		return
	}
	c := caught{at: time.Now()}
	// Other events than pushes may have other types of fields.
	if err := json.Unmarshal(body, &c); err == nil && c.ID != "" {
		r.events[c.ID] = c
	}
	w.WriteHeader(http.StatusOK)
}

// take returns the event with an id when it has arrived.
func (r *receiver) take(id string) (caught, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, ok := r.events[id]
	return c, ok
}

func (r *receiver) complaints() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.wrong, "\n")
}
