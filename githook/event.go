package githook

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os/user"
	"strings"
	"time"
	"unicode/utf8"
)

// update is one line of the hook's input.
type update struct{ old, new, ref string }

func (u *update) creates() bool { return isZero(u.old) }
func (u *update) deletes() bool { return isZero(u.new) }

// isZero reports whether id is the null object id that stands for "no ref".
func isZero(id string) bool { return strings.Trim(id, "0") == "" }

// maxUpdates bounds what one push may say; Git itself has no bound.
const maxUpdates = 1_000_000

func parseUpdates(r io.Reader) ([]update, error) {
	var updates []update
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		old, rest, _ := strings.Cut(s.Text(), " ")
		id, ref, ok := strings.Cut(rest, " ")
		if !ok || !isObjectID(old) || !isObjectID(id) || ref == "" {
			return nil, fmt.Errorf("the hook's input is not that of post-receive: %q", s.Text())
		}
		if len(updates) == maxUpdates {
			return nil, fmt.Errorf("more than %d ref updates in a push", maxUpdates)
		}
		updates = append(updates, update{old, id, ref})
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("read ref updates: %w", err)
	}
	return updates, nil
}

func isObjectID(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) >= 40
}

// event is what is recorded of one ref update.
type event struct {
	ID         string `json:"id"`
	Action     string `json:"action"`
	CreatedAt  int64  `json:"created_at"` // ms
	EntityPath string `json:"entity_path"`
	EntityType string `json:"entity_type"`
	Repository string `json:"repository"`

	Ref string `json:"ref"`
	// RefBase64 holds the ref's bytes when they are not UTF-8.
	RefBase64 string `json:"ref_base64,omitempty"`
	RefType   string `json:"ref_type"`
	Before    string `json:"before"`
	After     string `json:"after"`
	Created   bool   `json:"created"`
	Deleted   bool   `json:"deleted"`
	// Forced and CommitCount are absent when they were not found out in time.
	Forced      *bool `json:"forced,omitempty"`
	CommitCount *int  `json:"commit_count,omitempty"`

	PushID   string `json:"push_id"`   // the same for all refs of a push
	PushRefs int    `json:"push_refs"` // how many there are
	identity
}

func newEvents(cfg Config, updates []update, who identity, now time.Time) []event {
	events := make([]event, len(updates))
	pushID := newID(now)
	for i, u := range updates {
		events[i] = event{
			ID: newID(now), Action: "git.push", CreatedAt: now.UnixMilli(),
			EntityPath: cfg.Namespace, EntityType: "Project", Repository: cfg.Namespace,
			Ref: u.ref, RefType: refType(u.ref), Before: u.old, After: u.new,
			Created: u.creates(), Deleted: u.deletes(),
			PushID: pushID, PushRefs: len(updates), identity: who,
		}
		if !utf8.ValidString(u.ref) {
			events[i].RefBase64 = base64.StdEncoding.EncodeToString([]byte(u.ref))
		}
	}
	return events
}

func refType(ref string) string {
	switch {
	case strings.HasPrefix(ref, "refs/heads/"):
		return "branch"
	case strings.HasPrefix(ref, "refs/tags/"):
		return "tag"
	}
	return "other"
}

// encode returns events as NDJSON.
func encode(events []event) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for i := range events {
		if err := enc.Encode(&events[i]); err != nil {
			return nil, fmt.Errorf("encode event: %w", err)
		}
	}
	return b.Bytes(), nil
}

// newID returns a UUIDv7: ids of later pushes sort behind.
func newID(now time.Time) string {
	var b [16]byte
	rand.Read(b[:])
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(now.UnixMilli()))
	copy(b[:6], ms[2:])
	b[6] = b[6]&0x0f | 0x70
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// identity is who pushed, and how, as far as the environment tells.
type identity struct {
	Actor       string `json:"actor"`
	ActorSource string `json:"actor_source"` // the variable, "os_user" or "committer"
	ActorIP     string `json:"actor_ip,omitempty"`
	Transport   string `json:"transport_protocol_name"`
	// TransportNumber is GitHub's number for it: 1 HTTP, 2 SSH.
	TransportNumber int `json:"transport_protocol,omitempty"`
}

// actorVariables are set by the programs that serve Git, the most telling first:
// GitLab, gitolite, Gitea and Forgejo, any web server.
func actorVariables() []string {
	return []string{"GL_USERNAME", "GL_USER", "GITEA_PUSHER_NAME", "REMOTE_USER"}
}

func readIdentity(environ []string) identity {
	env := make(map[string]string, len(environ))
	for _, pair := range environ {
		k, v, _ := strings.Cut(pair, "=")
		env[k] = v
	}
	var id identity
	for _, name := range actorVariables() {
		if env[name] != "" {
			id.Actor, id.ActorSource = env[name], name
			break
		}
	}
	if id.Actor == "" {
		id.Actor, id.ActorSource = osUser(env), "os_user"
	}
	switch {
	case env["SSH_CONNECTION"] != "":
		id.Transport, id.TransportNumber = "ssh", 2
		id.ActorIP, _, _ = strings.Cut(env["SSH_CONNECTION"], " ")
	case env["GATEWAY_INTERFACE"] != "" || env["GL_PROTOCOL"] == "http":
		id.Transport, id.TransportNumber = "http", 1
		id.ActorIP = env["REMOTE_ADDR"]
	case env["GL_PROTOCOL"] == "ssh":
		id.Transport, id.TransportNumber = "ssh", 2
	case env["REMOTE_ADDR"] != "":
		id.Transport, id.ActorIP = "git", strings.Trim(env["REMOTE_ADDR"], "[]")
	default:
		id.Transport = "file"
	}
	return id
}

func osUser(env map[string]string) string {
	for _, name := range []string{"LOGNAME", "USER"} {
		if env[name] != "" {
			return env[name]
		}
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}
