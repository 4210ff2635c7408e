package indexkill

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/eventlog"
)

// maker makes events with many different terms, in both vocabularies. No id comes
// twice in all lives.
type maker struct {
	random  *rand.Rand
	life    uint64
	made    int
	scanner sluice.Scanner
	buf     []byte
}

// firstDay is the day on which the first events happened, by what they say.
func firstDay() time.Time { return time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC) }

// rare returns a number below n; small ones come more often.
func (m *maker) rare(n int) int { return m.random.IntN(1 + m.random.IntN(n)) }

// batches makes n events.
func (m *maker) batches(n int) (map[string]*eventlog.Batch, error) {
	out := map[string]*eventlog.Batch{}
	for range n {
		payload, env, _, err := m.scanner.Scan(m.buf[:0], m.event())
		if err != nil {
			return nil, fmt.Errorf("make an event: %w", err)
		}
		b := out[string(env.Class)]
		if b == nil {
			b = &eventlog.Batch{}
			out[string(env.Class)] = b
		}
		b.Add(payload, &env, "t1")
		m.buf = payload
	}
	return out, nil
}

func (m *maker) event() []byte {
	m.made++
	id := fmt.Sprintf("%d-%d", m.life, m.made)
	kind := fmt.Sprintf("kind%d.act%d", m.rare(40), m.random.IntN(3))
	if m.random.IntN(4) == 0 {
		kind = fmt.Sprintf("git.act%d", m.rare(10))
	}
	top, project := fmt.Sprintf("top%d", m.rare(8)), fmt.Sprintf("group%d/project%d", m.rare(5), m.rare(30))
	actor := fmt.Sprintf("actor%d", m.rare(500))
	at := firstDay().Add(time.Duration(m.random.IntN(30*24*3600)) * time.Second)
	if m.random.IntN(3) == 0 {
		return fmt.Appendf(nil, `{"_document_id":"%s","@timestamp":%d,"action":"%s","business":"%s","repo":"%s","actor":"%s","message":"%s"}`,
			id, at.UnixMilli(), kind, top, project, actor, m.text())
	}
	return fmt.Appendf(nil, `{"id":"%s","created_at":"%s","event_type":"%s","entity_path":"%s/%s","author_name":"%s","details":{"custom_message":"%s"}}`,
		id, at.Format(time.RFC3339), kind, top, project, actor, m.text())
}

func (m *maker) text() string {
	words := make([]string, 1+m.random.IntN(8))
	for i := range words {
		words[i] = fmt.Sprintf("word%d", m.rare(3000))
	}
	return strings.Join(words, " ")
}

// facts is what an event says, read without the help of the index.
type facts struct {
	ID, Type, Path, Actor string
	Words                 []string
	Day                   string
}

// understand reads a payload.
func understand(payload []byte) (facts, error) {
	var e struct {
		ID         string `json:"id"`
		DocumentID string `json:"_document_id"`
		CreatedAt  string `json:"created_at"`
		Timestamp  int64  `json:"@timestamp"`
		EventType  string `json:"event_type"`
		Action     string
		EntityPath string `json:"entity_path"`
		Business   string
		Repo       string
		AuthorName string `json:"author_name"`
		Actor      string
		Message    string
		Details    struct {
			CustomMessage string `json:"custom_message"`
		}
	}
	if err := json.Unmarshal(payload, &e); err != nil {
		return facts{}, fmt.Errorf("understand %s: %w", payload, err)
	}
	f := facts{ID: e.ID, Type: e.EventType, Path: e.EntityPath, Actor: e.AuthorName, Words: strings.Fields(e.Details.CustomMessage)}
	if len(e.CreatedAt) > len(time.DateOnly) {
		f.Day = e.CreatedAt[:len(time.DateOnly)]
	}
	if e.DocumentID != "" {
		f = facts{ID: e.DocumentID, Type: e.Action, Path: e.Business + "/" + e.Repo, Actor: e.Actor, Words: strings.Fields(e.Message),
			Day: time.UnixMilli(e.Timestamp).UTC().Format(time.DateOnly)}
	}
	return f, nil
}
