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

// checkPlace refuses a stream that would go where another one of the namespace
// goes, as GitLab does: a script that runs twice must not have everything sent
// twice. Sluice's own API allows it, to send a part again. A stream that keeps its
// place is not asked.
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
