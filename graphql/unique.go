package graphql

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/sluicelog/sluice"
)

// defaultLog is the log of Google Cloud that a stream has which names none.
const defaultLog = "audit_events"

// place is where a stream goes, "" for kinds that GitLab has not, and how its
// field is called.
func (c *config) place(kind string) (place, field string) {
	switch kind {
	case kindHTTP:
		return strings.TrimSpace(c.URL), "config.url"
	case kindS3:
		return c.Bucket, "config.bucket"
	case kindGCP:
		log := c.LogID
		if log == "" {
			log = defaultLog
		}
		return c.ProjectID + "\x00" + log, "config.log_id in the project"
	}
	return "", ""
}

// choosing has those who choose a place in a namespace wait for each other: two who
// look at once would both find it free. The caller calls free when the place is
// stored, or not wanted.
func (r *root) choosing(ctx context.Context, namespace string) (free func(), err error) {
	one, _ := r.chosen.LoadOrStore(sluice.FoldNamespace(namespace), make(chan struct{}, 1))
	turn := one.(chan struct{})
	select {
	case turn <- struct{}{}:
		callerOf(ctx).forget() // what was read before
		return func() { <-turn }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// places reports whether an update may send the stream to another place.
func (in *input) places(c class) bool {
	return in.Config.set || c.legacy() && (in.DestinationURL.set || in.BucketName.set || in.GoogleProjectIDName.set || in.LogIDName.set)
}

// checkPlace refuses a stream that would go where another one of the namespace
// goes, as GitLab does: a script that runs twice must not have everything sent
// twice. Sluice's own API allows it, to send a part again. A stream that keeps its
// place is not asked. Whoever asks is choosing.
func (r *root) checkPlace(ctx context.Context, namespace, kind string, sent json.RawMessage, now *destination) error {
	var next config
	id, before := sluice.StreamID(0), ""
	if now != nil {
		next, id = now.config, now.stream.ID
		before, _ = next.place(kind)
	}
	if sent != nil && json.Unmarshal(sent, &next) != nil {
		return nil // the kind says what is wrong with it
	}
	place, field := next.place(kind)
	if place == before {
		return nil
	}
	list, err := callerOf(ctx).list(ctx, r.service, namespace)
	if err != nil {
		return err
	}
	for _, s := range list {
		if other, _ := s.config.place(s.Kind); s.ID != id && s.Kind == kind && other == place {
			return sluice.Errorf(sluice.Conflict, "%s has already been taken", field).
				WithHint("another destination goes there; Sluice's own API allows two")
		}
	}
	return nil
}
