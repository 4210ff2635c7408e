package control

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/deliver"
	"github.com/sluicelog/sluice/eventlog"
)

// instancePath is the entity_path of events of the installation.
const instancePath = "gitlab_instance"

// maxChange bounds how much of a changed value an event shows, in bytes.
const maxChange = 2048

// act is something that is to be told in the audit log.
type act struct {
	Type       string
	Namespace  string // any spelling; the event belongs to its top level
	TargetType string
	TargetID   any
	Target     string // how people call the target
	Message    string
	Fields     map[string]any // further members of details, never secrets
	Changes    map[string]change
	Secrets    []string // names of those that were set, replaced or removed
}

// change is how a field changed.
type change struct {
	From any `json:"from"`
	To   any `json:"to"`
}

// told is an event that waits to be appended, exactly as it will be stored.
type told struct {
	ID      string          `json:"id"`
	Payload json.RawMessage `json:"payload"`
}

// selfEvent is the payload, in GitLab's vocabulary.
type selfEvent struct {
	ID            string         `json:"id"`
	CreatedAt     string         `json:"created_at"`
	EventType     string         `json:"event_type"`
	EntityType    string         `json:"entity_type"`
	EntityPath    string         `json:"entity_path"`
	AuthorID      int64          `json:"author_id"`
	AuthorName    string         `json:"author_name"`
	TargetType    string         `json:"target_type"`
	TargetID      any            `json:"target_id"`
	TargetDetails string         `json:"target_details"`
	Details       map[string]any `json:"details"`
}

// compose fixes the event that tells a, by p, with its id and time.
func (s *Service) compose(p Principal, a act) told {
	now := s.now()
	return composeAs(newEventID(now), now, p, a)
}

func composeAs(id string, at time.Time, p Principal, a act) told {
	e := selfEvent{
		ID: id, CreatedAt: at.UTC().Format("2006-01-02T15:04:05.000Z07:00"), EventType: a.Type,
		EntityType: sluice.KindGroup, EntityPath: sluice.TopLevel(a.Namespace),
		AuthorID: p.number, AuthorName: p.Name, TargetType: a.TargetType, TargetID: a.TargetID, TargetDetails: a.Target,
	}
	if a.Namespace == sluice.Instance {
		e.EntityType, e.EntityPath = sluice.KindInstance, instancePath
	}
	e.Details = map[string]any{}
	for name, value := range a.Fields {
		e.Details[name] = value
	}
	e.Details["custom_message"], e.Details["author_name"] = a.Message, p.Name
	p.sign(e.Details)
	if len(a.Changes) > 0 {
		e.Details["changes"] = bounded(a.Changes)
	}
	if len(a.Secrets) > 0 {
		e.Details["secrets_updated"] = a.Secrets
	}
	payload, err := json.Marshal(e)
	if err != nil {
		panic(fmt.Sprintf("control: encode event %s: %v", a.Type, err)) // its parts are JSON or plain values
	}
	return told{ID: id, Payload: payload}
}

// sign adds what p is to the details of an event.
func (p Principal) sign(details map[string]any) {
	class, token := "Token", p.ID
	switch {
	case p.Kind == KindUser:
		class, token = "User", p.Credential
	case p.ID == "":
		class = "Sluice"
	}
	details["author_class"] = class
	if token != "" {
		details["author_token"] = token
	}
}

// bounded replaces values that are too long for an event by their digest.
func bounded(changes map[string]change) map[string]change {
	short := func(v any) any {
		b, err := json.Marshal(v)
		if err == nil && len(b) <= maxChange {
			return v
		}
		return fmt.Sprintf("%d bytes with SHA-256 %x", len(b), sha256.Sum256(b))
	}
	out := make(map[string]change, len(changes))
	for name, c := range changes {
		out[name] = change{From: short(c.From), To: short(c.To)}
	}
	return out
}

// newEventID returns a UUID of version 7 (RFC 9562, 5.7).
func newEventID(now time.Time) string {
	var b [16]byte
	rand.Read(b[6:]) // never fails, see its documentation
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(now.UnixMilli()))
	copy(b[:6], ms[2:])
	b[6], b[8] = b[6]&0x0f|0x70, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// appendTold appends the events to the log and returns when they are durable.
// One that is there already is not stored again. It works below the floor of
// free space: what lies below is kept for this.
func (s *Service) appendTold(ctx context.Context, events ...told) error {
	batches := map[string]*eventlog.Batch{}
	var scanner sluice.Scanner
	for _, e := range events {
		payload, env, _, err := scanner.Scan(nil, e.Payload)
		if err != nil {
			return fmt.Errorf("read own event %s: %w", e.ID, err)
		}
		class := string(env.Class)
		if batches[class] == nil {
			batches[class] = &eventlog.Batch{}
		}
		batches[class].Add(payload, &env, sluice.SourceSluice)
	}
	if _, err := s.log.Append(ctx, batches); err != nil {
		return fmt.Errorf("append own events: %w", err)
	}
	return nil
}

// tell appends the event of an act that changes no record; it is durable when
// tell returns.
func (s *Service) tell(ctx context.Context, p Principal, a act) error {
	if err := s.appendTold(ctx, s.compose(p, a)); err != nil {
		return s.appendError(ctx, err)
	}
	return nil
}

// Emit appends an event that delivery writes about a stream. A repeat with the
// same notice is a duplicate.
func (s *Service) Emit(ctx context.Context, n deliver.Notice) error {
	name := n.Title // not what it is called now: a repeat is found by its bytes
	if name == "" {
		name = fmt.Sprintf("stream %d", n.Stream)
	}
	return s.appendTold(ctx, composeAs(n.ID, n.Time, sluiceItself(), act{
		Type: n.Type, Namespace: n.Namespace, TargetType: targetStream, TargetID: n.Stream, Target: name,
		Message: noticeMessage(n.Type), Fields: n.Fields,
	}))
}

// Restoration is what brought the installation, or its control state alone, back.
type Restoration struct {
	ID string // of the event
	At time.Time
	// MadeAt is when the backup or the snapshot was made. The zero time: the control
	// state is what could be read of a damaged file.
	MadeAt      time.Time
	ControlOnly bool
}

// TellRestored appends the event that says that the installation was restored. A
// repeat with the same id is a duplicate. Whoever restores does so with the files
// in hand, unknown to Sluice.
func (s *Service) TellRestored(ctx context.Context, r Restoration) error {
	a := act{
		Type: "installation.restore", Namespace: sluice.Instance, TargetType: "Installation", Target: "Sluice",
		Message: "Restored the installation from a backup", Fields: map[string]any{"restored": "all"},
	}
	made := "backup_made_at"
	if r.ControlOnly {
		made = "snapshot_made_at"
		a.Message, a.Fields["restored"] = "Restored the control state from a snapshot: later changes of streams, tokens and users are gone", "control_state"
	}
	if r.MadeAt.IsZero() {
		a.Message = "Restored what could be read of the damaged control state: its last changes are gone"
	} else {
		a.Fields[made] = r.MadeAt.UTC().Format(time.RFC3339)
	}
	return s.appendTold(ctx, composeAs(r.ID, r.At, sluiceItself(), a))
}

func noticeMessage(eventType string) string {
	switch eventType {
	case "stream.gap":
		return "Events expired before they were delivered"
	case "stream.gap_expected":
		return "Events will expire unless they are delivered soon"
	}
	return "Reported by delivery"
}
