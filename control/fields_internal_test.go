package control

import (
	"encoding/json"
	"maps"
	"testing"
)

// Members are written as those of a map, whatever was stored before.
func TestFieldsAreAnObject(t *testing.T) {
	var f fields[int]
	f.set("b", 1)
	f.set("a", 2)
	f.set("b", 3)
	text, err := json.Marshal(f)
	if want := `{"a":2,"b":3}`; err != nil || string(text) != want {
		t.Errorf("encoded: got %s (%v), want %s", text, err, want)
	}
	var again fields[int]
	if err := json.Unmarshal(text, &again); err != nil || !maps.Equal(again.asMap(), f.asMap()) {
		t.Errorf("decoded: got %v (%v), want %v", again, err, f)
	}
	if v, ok := again.get("b"); v != 3 || !ok {
		t.Errorf("b: got %d, %v, want 3", v, ok)
	}
	if _, ok := again.get("c"); ok {
		t.Error("c: got a value, want none")
	}
	if text, err := json.Marshal(fields[int](nil)); err != nil || string(text) != "null" {
		t.Errorf("none: got %s (%v), want null", text, err)
	}
	for _, bad := range []string{`[]`, `{"a":"x"}`, `1`} {
		if err := json.Unmarshal([]byte(bad), &again); err == nil {
			t.Errorf("%s: got no error", bad)
		}
	}
	if err := json.Unmarshal([]byte("null"), &again); err != nil || again != nil {
		t.Errorf("null: got %v (%v), want none", again, err)
	}
}
