package report

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sluicelog/sluice/bench/machine"
)

// Kept is what a folder keeps of a scenario, so that a run that was cut off, or a
// later one, adds rounds to those there are. All its rounds are of one server, one
// machine and one setting.
type Kept struct {
	machine.Facts          // of the last run
	Setting       string   `json:"setting"` // how long and how large
	Scenario      Scenario `json:"scenario"`
}

// Open returns what the folder keeps of a scenario. Rounds of another server, machine or
// setting are put away into the folder old in it, and none are returned.
func Open(dir, name string, facts machine.Facts, setting string) (Kept, error) {
	fresh := Kept{Facts: facts, Setting: setting}
	k, err := read(file(dir, name))
	if errors.Is(err, os.ErrNotExist) {
		return fresh, nil
	}
	if err != nil {
		return Kept{}, err
	}
	if k.Committed() && k.Code == facts.Code && k.Machine == facts.Machine && k.Disk == facts.Disk && k.Setting == setting {
		k.Facts = facts
		return k, nil
	}
	away := filepath.Join(dir, "old", fmt.Sprintf("%s-%d.json", name, time.Now().UnixNano()))
	return fresh, errors.Join(os.MkdirAll(filepath.Dir(away), 0o755), os.Rename(file(dir, name), away))
}

func file(dir, name string) string { return filepath.Join(dir, name+".json") }

func read(path string) (k Kept, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return k, err
	}
	if err := json.Unmarshal(text, &k); err != nil {
		return k, fmt.Errorf("read %s: %w", path, err)
	}
	return k, nil
}

// Save writes k into the folder, as a whole or not at all.
func (k *Kept) Save(dir string) error {
	text, err := json.MarshalIndent(k, "", " ")
	if err != nil {
		return err
	}
	path := file(dir, k.Scenario.Name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", append(text, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// ReadAll returns what a folder keeps, in the order of names; scenarios with other
// names come last.
func ReadAll(dir string, names []string) ([]Kept, error) {
	paths, err := filepath.Glob(file(dir, "*"))
	if err != nil {
		return nil, err
	}
	var all []Kept
	for _, path := range paths {
		k, err := read(path)
		if err != nil {
			return nil, err
		}
		all = append(all, k)
	}
	place := func(k Kept) int {
		if i := slices.Index(names, k.Scenario.Name); i >= 0 {
			return i
		}
		return len(names)
	}
	slices.SortStableFunc(all, func(a, b Kept) int { return cmp.Compare(place(a), place(b)) })
	return all, nil
}
