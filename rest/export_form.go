package rest

import (
	"bufio"

	"github.com/sluicelog/sluice/control"
)

// exportForm writes events in one of the formats.
type exportForm interface {
	begin() error
	event(e *control.ExportedEvent) error
	end() error
}

func newExportForm(format string, w *bufio.Writer) exportForm {
	switch format {
	case control.ExportJSON:
		return &arrayForm{w: w}
	case control.ExportCSV:
		return &csvForm{w: w}
	}
	return lineForm{w}
}

// lineForm is NDJSON: events as they were accepted, one a line.
type lineForm struct{ w *bufio.Writer }

func (f lineForm) begin() error { return nil }
func (f lineForm) end() error   { return nil }

func (f lineForm) event(e *control.ExportedEvent) error {
	_, err := f.w.Write(e.Payload[:len(e.Payload)+1]) // a newline follows it
	return err
}

// arrayForm is one JSON array of events as they were accepted, one a line too, so
// that what is left of a broken download can be read.
type arrayForm struct {
	w    *bufio.Writer
	some bool
}

func (f *arrayForm) begin() error { return f.w.WriteByte('[') }

func (f *arrayForm) event(e *control.ExportedEvent) error {
	between := ",\n"
	if !f.some {
		between, f.some = "\n", true
	}
	if _, err := f.w.WriteString(between); err != nil {
		return err
	}
	_, err := f.w.Write(e.Payload)
	return err
}

func (f *arrayForm) end() error {
	_, err := f.w.WriteString("\n]\n")
	return err
}
