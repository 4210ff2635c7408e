package oracle

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/sluicelog/sluice/bench/server"
)

// setUp starts the server for the first time and makes tokens and streams, one
// by one, so that it is known which of Sluice's own events come before each.
func (o *oracle) setUp(ctx context.Context) error {
	if err := o.start(ctx); err != nil {
		return err
	}
	for i := range 2 * len(tenants()) {
		p := &producer{index: i, rng: rand.New(rand.NewPCG(o.cfg.Seed, uint64(100+i))), books: o.books, journal: o.journal, findings: o.findings}
		o.producers = append(o.producers, p)
		var token struct {
			Token string `json:"token"`
		}
		body := map[string]any{"kind": "producer", "namespace": tenants()[i%len(tenants())], "name": fmt.Sprintf("producer %d", i)}
		if err := o.server.call(ctx, http.MethodPost, "/api/v1/tokens", body, &token); err != nil {
			return err
		}
		p.token = token.Token
	}
	for i, sp := range firstSpecs() {
		s := o.newStream(sp)
		if err := o.create(ctx, s); err != nil {
			return err
		}
		s.from = always
		s.ownFrom = 0
		if i > 0 {
			s.ownFrom = len(o.streams[0].receiver.shelf().own)
			if err := o.awaitCreated(ctx, s, &s.ownFrom); err != nil {
				return err
			}
			continue
		}
		if err := o.awaitOwn(ctx, "stream.create", s.id); err != nil {
			return err
		}
	}
	return o.kill(ctx)
}

// awaitCreated waits until the creation of s has been told. It is the first of
// the stream's own events, for it is told after the stream's start was fixed, and
// nothing else was happening.
func (o *oracle) awaitCreated(ctx context.Context, s *stream, from *int) error {
	if err := o.awaitOwn(ctx, "stream.create", s.id); err != nil {
		return err
	}
	for i, e := range o.streams[0].receiver.shelf().own {
		if e.Type == "stream.create" && e.about(s.id) {
			*from = i
		}
	}
	return nil
}

// awaitOwn waits until the first receiver has got an own event about a stream.
func (o *oracle) awaitOwn(ctx context.Context, kind string, id int64) error {
	patience, cancel := context.WithTimeout(ctx, server.Patience)
	defer cancel()
	for {
		for _, e := range o.streams[0].receiver.shelf().own {
			if e.Type == kind && e.about(id) {
				return nil
			}
		}
		if patience.Err() != nil {
			return fmt.Errorf("%s of stream %d was not delivered within %v", kind, id, server.Patience)
		}
		server.Pause(patience, 2*time.Millisecond)
	}
}

func (o *oracle) newStream(sp spec) *stream {
	r := newReceiver(sp, o.cfg.Seed, o.books, o.findings, o.trace, o.bucket)
	s := &stream{spec: sp, name: sp.Name, receiver: r, ownFrom: -1, from: o.beginning(sp), to: never, filters: []filter{sp.Filter}, done: map[string]int{}}
	o.add(s)
	return s
}

// beginning returns from when on a stream has events that is created from now on.
func (o *oracle) beginning(sp spec) edge {
	switch sp.Start {
	case "":
		return edge{o.books.now(), 0}
	case "earliest":
		return always
	}
	start, _ := time.Parse(time.RFC3339Nano, sp.Start) // it was made by Format
	return edge{o.books.at(start), o.books.at(start)}
}

// create creates a stream. Called again after a failure it finds out whether that
// had an effect.
func (o *oracle) create(ctx context.Context, s *stream) error {
	list, err := o.server.list(ctx)
	if err != nil {
		return err
	}
	for _, v := range list {
		if v.Name == s.name {
			s.id = v.ID
		}
	}
	if s.id == 0 {
		var v view
		var until time.Time
		if s.spec.Lasts > 0 {
			until = time.Now().Add(s.spec.Lasts)
			s.to = edge{o.books.at(until), o.books.at(until)}
		}
		err := o.server.call(ctx, http.MethodPost, "/api/v1/streams", s.spec.body(s.name, s.receiver.server.URL, until), &v)
		if isStatus(err, http.StatusConflict) {
			// A kill came between the claim on the name and the stream. The claim
			// is void only after a while; another name is as good.
			s.name += "-again"
			return errors.New("the name is claimed")
		}
		if err != nil {
			return err
		}
		s.id = v.ID
	}
	if s.spec.Start == "" {
		s.from.before = o.books.now()
	}
	s.done["stream.create"]++
	return nil
}

// deed is something that is done under load, as often as it takes: a kill may
// come in between.
type deed struct {
	what string
	try  func(context.Context) error
}

// act does what is due, until ctx ends.
func (o *oracle) act(ctx context.Context) {
	for len(o.deeds) > 0 && ctx.Err() == nil {
		d := o.deeds[0]
		err := d.try(ctx)
		var refused *statusError
		if errors.As(err, &refused) && refused.status < 500 {
			o.findings.add("%s: %v", d.what, err)
			err = nil // it would be refused again
		}
		if err != nil {
			server.Pause(ctx, 20*time.Millisecond)
			continue
		}
		o.deeds = o.deeds[1:]
	}
}

func (o *oracle) due(what string, try func(context.Context) error) {
	o.deeds = append(o.deeds, &deed{what, try})
}

// period is how many cycles an episode has.
const period = 16

// plan decides what happens in a cycle.
func (o *oracle) plan(cycle int) {
	length := min(period, o.cfg.Cycles)
	at := func(sixteenth int) bool { return cycle%length == sixteenth*length/period }
	if at(0) {
		o.planEpisode()
	}
	if at(3) || at(12) {
		o.planChange(o.named(changing))
	}
	if at(1) || at(3) || at(5) || at(8) || at(10) || at(13) {
		o.planChange(o.named(changingBucket)) // an object on its way keeps the filter that it has
	}
	for _, s := range []*stream{o.named(pausing), o.named(pausingBucket)} {
		if at(4) || at(9) {
			o.due("pause", func(ctx context.Context) error { return o.setActive(ctx, s, false) })
		}
		if at(6) || at(11) {
			o.due("resume", func(ctx context.Context) error { return o.setActive(ctx, s, true) })
		}
	}
	if at(2) || at(8) {
		o.due("rotate keys", o.rotateKeys)
	}
	if at(5) || at(13) {
		o.due("prune keys", o.pruneKeys)
	}
	if at(10) {
		for _, name := range []string{doomed, doomedBucket} {
			name := ofEpisode(name, o.episode-1) // which may be still to be created, by an earlier deed
			o.due("delete", func(ctx context.Context) error { return o.remove(ctx, o.named(name)) })
		}
	}
}

// rotateKeys makes another key for secrets. A kill may come while they are sealed
// with it.
func (o *oracle) rotateKeys(ctx context.Context) error {
	return o.server.call(ctx, http.MethodPost, "/api/v1/secrets/rotate", nil, nil)
}

// pruneKeys has what is left sealed anew, and removes the old keys.
func (o *oracle) pruneKeys(ctx context.Context) error {
	return o.server.call(ctx, http.MethodPost, "/api/v1/secrets/prune", nil, nil)
}

func (o *oracle) named(name string) *stream {
	for _, s := range o.all() {
		if s.spec.Name == name {
			return s
		}
	}
	return nil
}

// planEpisode lets the streams of the last episode go and new ones come.
func (o *oracle) planEpisode() {
	for _, s := range o.streams[len(firstSpecs()):] {
		if s.alive() {
			o.due("delete", func(ctx context.Context) error { return o.remove(ctx, s) })
		}
	}
	episode := o.episode
	o.episode++
	var list []*stream
	// The streams are made up when their turn comes: some name times.
	o.due("create", func(ctx context.Context) error {
		if list == nil {
			for _, sp := range o.episodeSpecs(episode) {
				list = append(list, o.newStream(sp))
			}
		}
		for _, s := range list {
			if s.id != 0 {
				continue
			}
			if err := o.create(ctx, s); err != nil {
				return err
			}
		}
		return nil
	})
}

// planChange gives a stream its next filter.
func (o *oracle) planChange(s *stream) {
	list := changes()
	next := list[(s.done["change"]+1)%len(list)]
	s.done["change"]++
	if s.done["change"] == 1 {
		s.filters = append(s.filters, next)
	}
	o.due("change the filter", func(ctx context.Context) error {
		if s.receiver.bucket != nil {
			s.receiver.leaveInDoubt(ctx)
		}
		err := o.server.call(ctx, http.MethodPatch, fmt.Sprintf("/api/v1/streams/%d", s.id), map[string]any{"filter": next.lists()}, nil)
		if err == nil {
			s.done["stream.update"]++
		}
		return err
	})
}

func (o *oracle) setActive(ctx context.Context, s *stream, active bool) error {
	if s.paused == !active {
		return nil
	}
	verb := "pause"
	if active {
		verb = "resume"
		s.receiver.expectSilence(false)
	}
	err := o.server.call(ctx, http.MethodPost, fmt.Sprintf("/api/v1/streams/%d/%s", s.id, verb), nil, nil)
	if err != nil {
		return err
	}
	s.paused = !active
	s.done["stream."+verb]++
	if !active {
		s.receiver.expectSilence(true)
	}
	return nil
}

// remove deletes a stream, which may have been deleted by an earlier deed that was
// late.
func (o *oracle) remove(ctx context.Context, s *stream) error {
	if s.deleted {
		return nil
	}
	s.to.after = min(s.to.after, o.books.now())
	err := o.server.call(ctx, http.MethodDelete, fmt.Sprintf("/api/v1/streams/%d", s.id), nil, nil)
	if err != nil && !isStatus(err, http.StatusNotFound) {
		return err
	}
	s.to.before = min(s.to.before, o.books.now())
	o.mu.Lock()
	s.deleted = true
	o.mu.Unlock()
	s.done["stream.delete"]++
	s.receiver.expectSilence(true)
	return nil
}

// shuffle gives every receiver a mode for the next life of the server.
func (o *oracle) shuffle() {
	wild := []mode{healthy, healthy, healthy, down, lossy, lossy, hanging, flaky, flaky, forbidden, refusing}
	calm := []mode{healthy, healthy, lossy, flaky}
	for _, s := range o.streams {
		if s.spec.Calm {
			s.receiver.set(calm[o.rng.IntN(len(calm))])
		} else {
			s.receiver.set(wild[o.rng.IntN(len(wild))])
		}
	}
}

// flip changes modes while the server lives. What refuses everything stays as it
// is: an event that was refused before its neighbours are accepted is rightly
// held to be bad.
func (o *oracle) flip() {
	for _, s := range o.all() {
		m := s.receiver.behaves()
		if s.spec.Calm || m == refusing || o.rng.IntN(3) > 0 {
			continue
		}
		next := []mode{healthy, healthy, down, lossy, flaky, forbidden}
		s.receiver.set(next[o.rng.IntN(len(next))])
	}
}
