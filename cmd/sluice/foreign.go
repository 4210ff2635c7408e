package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/sluicelog/sluice/eventlog"
	"github.com/sluicelog/sluice/sqlite"
	"github.com/sluicelog/sluice/store"
)

// errForeign says that control state and log are not of one server.
var errForeign = fmt.Errorf("%w: it belongs to another log than the one beside it", store.ErrDamaged)

// refuseForeign refuses the control state of another server, a control.db that was
// copied to the wrong place for instance: everything in the log would be taken for
// damage, and told as lost. The log says to which server it belongs.
func refuseForeign(data string, v identity) error {
	id, earlier, err := v.ids()
	if err != nil {
		return err
	}
	log := os.DirFS(filepath.Join(data, logFolder))
	segments, err := fs.Glob(log, "*/*.seg")
	if err != nil {
		return err
	}
	slices.Sort(segments)
	slices.Reverse(segments) // the newest of each partition first
	known := ""              // the partition that was looked at
	for _, name := range segments {
		if path.Dir(name) == known {
			continue
		}
		of, sound := logOf(log, name)
		if !sound {
			continue // the one before it tells as much
		}
		if of != id && !slices.Contains(earlier, of) {
			return errForeign
		}
		known = path.Dir(name)
	}
	return nil
}

// refuseUnknown refuses a copy of a server's control state that does not know the
// log in the data folder.
func refuseUnknown(ctx context.Context, data, control string) error {
	records, err := sqlite.Peek(ctx, control, identityKey)
	if err != nil {
		return err
	}
	if len(records) == 0 {
		return errNameless
	}
	var v identity
	if err := json.Unmarshal(records[0].Value, &v); err != nil {
		return fmt.Errorf("read the log's identity: %w", err)
	}
	return refuseForeign(data, v)
}

// logOf returns to which log a segment belongs. It is not sound when its first
// header is damaged or not there, or when it cannot be read, of which whoever opens
// the log tells the cause.
func logOf(log fs.FS, name string) (id eventlog.LogID, sound bool) {
	f, err := log.Open(name)
	if err != nil {
		return id, false // retention may have removed it since
	}
	defer f.Close()
	head := make([]byte, eventlog.HeaderSize)
	if _, err := io.ReadFull(f, head); err != nil {
		return id, false
	}
	h, err := eventlog.ParseHeader(head)
	return h.Log, err == nil
}
