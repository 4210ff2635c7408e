package eventhubs

import (
	"encoding/json"
	"strings"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

// PartitionBy says which events stay in order.
type PartitionBy string

const (
	// ByTopLevel keeps the events of a top-level namespace in order.
	ByTopLevel PartitionBy = "top_level"
	// ByNamespace keeps the events of each namespace in order.
	ByNamespace PartitionBy = "namespace"
	// ByNone lets the service spread batches over the partitions.
	ByNone PartitionBy = "none"
)

// maxName bounds the name of a hub, in bytes.
const maxName = 256

// Config is the kind's configuration in canonical form.
type Config struct {
	// Name is the event hub's: 1 to 256 letters, digits, periods, hyphens and
	// underscores that begin and end with a letter or digit.
	Name string `json:"name"`
	// PartitionBy is "top_level" when it is left out.
	PartitionBy PartitionBy `json:"partition_by"`
}

func parseConfig(raw json.RawMessage) (Config, error) {
	var c Config
	f, err := destination.ReadFields("config", raw, "name", "partition_by")
	if err != nil {
		return c, err
	}
	by := string(ByTopLevel)
	if err := f.ReadAll(destination.Member{Name: "name", Into: &c.Name}, destination.Member{Name: "partition_by", Into: &by}); err != nil {
		return c, err
	}
	c.Name, c.PartitionBy = strings.TrimSpace(c.Name), PartitionBy(by)
	switch {
	case c.Name == "":
		return c, sluice.Errorf(sluice.Invalid, "config.name is required").
			WithHint("it is the name of the event hub, not of its Event Hubs namespace")
	case !validName(c.Name):
		return c, sluice.Errorf(sluice.Invalid, "config.name is not the name of an event hub").
			WithHint("names have 1 to %d letters, digits, periods, hyphens and underscores, and begin and end with a letter or digit", maxName)
	}
	switch c.PartitionBy {
	case ByTopLevel, ByNamespace, ByNone:
		return c, nil
	}
	return c, sluice.Errorf(sluice.Invalid, "config.partition_by must be %q, %q or %q", ByTopLevel, ByNamespace, ByNone)
}

// validName reports whether s can be the name of an event hub.
func validName(s string) bool {
	if s == "" || len(s) > maxName || !alphanumeric(rune(s[0])) || !alphanumeric(rune(s[len(s)-1])) {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool { return !alphanumeric(r) && !strings.ContainsRune(".-_", r) }) < 0
}

func alphanumeric(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}
