package secret

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

const hidden = "correct horse battery"

func TestTextIsNeverPrinted(t *testing.T) {
	type config struct {
		Name  string
		Token Text
		More  []Text
		Map   map[string]Text `xml:"-"`
		Ptr   *Text
	}
	text := Text(hidden)
	values := map[string]any{
		"text":    text,
		"pointer": &text,
		"struct":  config{"a", text, []Text{text}, map[string]Text{"k": text}, nil},
		"slice":   []Text{text},
		"array":   [1]Text{text},
		"map":     map[string]Text{"k": text},
		"any":     []any{text},
	}
	for name, v := range values {
		for _, verb := range strings.Split("v +v #v s q x X d t c U o O b e E f F g G 10s -10v .3s 08d", " ") {
			// Not a constant, so that vet lets wrong verbs pass.
			wantHidden(t, name+" with %"+verb, fmt.Sprintf("%"+verb, v))
		}
		wantHidden(t, name+" with Sprint", fmt.Sprint(v)+fmt.Sprintln(v))
		wantHidden(t, name+" in an error", fmt.Errorf("bad: %v", v).Error())
		var log bytes.Buffer
		for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
			slog.New(h).With("with", v).Info("message", "key", v, slog.Group("group", "key", v))
		}
		wantHidden(t, name+" in a log", log.String())
		b, err := json.Marshal(v)
		if err != nil {
			t.Errorf("json.Marshal of %s: %v", name, err)
		}
		wantHidden(t, name+" in JSON", string(b))
	}
	wantHidden(t, "extra argument", fmt.Sprintf("done"+"%s", []any{"", text}...))
	wantHidden(t, "String", text.String()+text.GoString())
	b, err := xml.Marshal(config{Token: text})
	if err != nil {
		t.Errorf("xml.Marshal: %v", err)
	}
	wantHidden(t, "XML", string(b))
}

func wantHidden(t *testing.T, what, printed string) {
	t.Helper()
	if strings.Contains(printed, "horse") || strings.Contains(printed, fmt.Sprintf("%x", "horse")) {
		t.Errorf("%s: got %q, which shows the secret", what, printed)
	}
	if !strings.Contains(printed, redacted) {
		t.Errorf("%s: got %q, want %q in it", what, printed, redacted)
	}
}

func TestTextReveal(t *testing.T) {
	var config struct{ Token Text }
	if err := json.Unmarshal([]byte(`{"Token":"`+hidden+`"}`), &config); err != nil {
		t.Fatalf("json.Unmarshal: %v", err)
	}
	if got := config.Token.Reveal(); got != hidden {
		t.Errorf("Reveal after JSON: got %q, want %q", got, hidden)
	}
	if got := fmt.Sprint(Text("")); got != redacted {
		t.Errorf("an empty secret: got %q, want %q", got, redacted)
	}
}

func TestRingIsNeverPrinted(t *testing.T) {
	r := NewRing()
	raw := r.keys[r.current].raw
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if got := fmt.Sprintf(verb, r); got != redacted {
			t.Errorf("ring with %s: got %q, want %q", verb, got, redacted)
		}
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("message", "ring", r)
	b, err := json.Marshal(r) //lint:ignore SA9005 that nothing comes out is what is tested
	if got := log.String() + string(b); err != nil || strings.Contains(got, fmt.Sprintf("%x", raw[:4])) {
		t.Errorf("ring in log and JSON: got %q, error %v; want no key", got, err)
	}
	if _, err := r.Open("x", "place"); !errors.Is(err, ErrSealed) {
		t.Errorf("Open: got error %v, want %v", err, ErrSealed)
	}
}
