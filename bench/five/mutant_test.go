//go:build torture

package five

import (
	"os"
	"testing"

	"github.com/sluicelog/sluice/bench/mutant"
)

// TestBrokenServersAreFound plays all kinds with servers that are broken in one
// place each.
func TestBrokenServersAreFound(t *testing.T) {
	for _, c := range []struct {
		name, says string
		edits      []mutant.Edit
	}{
		{"the cursor moves before the send", "delivered, and", []mutant.Edit{
			{File: "deliver/step.go", Old: "	res := d.trySlowly(ctx, l, w, dest, &batch)\n", New: `	l.mu.Lock()
	if !l.behind {
		l.rec.Delivered += uint64(len(w.items))
		l.moveTo(w.end)
		l.mark()
	}
	l.mu.Unlock()
	res := d.trySlowly(ctx, l, w, dest, &batch)
`},
			{File: "deliver/settle.go", Old: "			l.rec.Delivered += uint64(len(w.items))\n", New: ""},
		}},
		{"the last two events of a batch change places", "came first after", []mutant.Edit{
			{File: "deliver/step.go", Old: "	res := d.trySlowly(ctx, l, w, dest, &batch)\n", New: `	if n := len(batch.Events); n > 1 {
		batch.Events[n-2], batch.Events[n-1] = batch.Events[n-1], batch.Events[n-2]
	}
	res := d.trySlowly(ctx, l, w, dest, &batch)
`},
		}},
		{"the first two events of an object change places", "came first after", []mutant.Edit{
			{File: "destination/s3/encode.go", Old: "	gzip  *gzip.Writer\n", New: "	gzip  *gzip.Writer\n	held  []byte\n	begun bool\n"},
			{File: "destination/s3/encode.go", Old: "	p := ev.Payload\n", New: `	p := ev.Payload
	if !e.begun {
		e.begun, e.held = true, append(append(e.held, p...), '\n')
		return nil
	}
	defer e.release()
`},
			{File: "destination/s3/encode.go", Old: "func (e *encoder) Close() error { return e.gzip.Close() }\n", New: `func (e *encoder) Close() error {
	e.release()
	return e.gzip.Close()
}

func (e *encoder) release() {
	_, _ = e.gzip.Write(e.held)
	e.held = nil
}
`},
		}},
		{"an event that is refused is taken for one that was accepted", "_test.go:", []mutant.Edit{
			{File: "deliver/settle.go", Old: "		case destination.Rejected:\n			l.suspect(w.events[i].Seq, reason(res, i))\n", New: "		case destination.Rejected:\n			l.deliver(w.events[i : i+1])\n			some = true\n"},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			binary := mutant.Broken(t, c.edits)
			mutant.Found(t, os.Args[0], "TestFiveKinds", c.says, "-binary", binary)
		})
	}
}
