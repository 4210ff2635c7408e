package web

import (
	"net/url"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/destination"
)

// Names of the fields that say when a stream begins and ends, and what it does
// with an event that keeps failing.
const (
	startField  = "start"
	momentField = "start_at" // of a start at a time
	untilField  = "until"
	strictField = "strict"
)

const (
	// startMoment is the start at a time that stands in a field of its own.
	startMoment = "time"
	// inputTime is a day and a time in UTC.
	inputTime destination.InputType = "datetime-local"
)

// strictLabel is what the checkbox of strict streams says.
const strictLabel = "Wait for an event that keeps failing"

// readTimes reads the fields. Those that the form has not are as they are stored.
func (e *entry) readTimes(form url.Values, st *control.Stream) {
	if st != nil {
		e.values[untilField] = untilOf(st)
	}
	for _, name := range []string{startField, momentField, untilField, strictField} {
		if form.Has(name) {
			e.values[name] = form.Get(name)
		}
	}
}

// untilOf returns the end of a stream as a field has it.
func untilOf(st *control.Stream) string {
	if st.Until == nil {
		return ""
	}
	if st.Until.Second() == 0 {
		return st.Until.UTC().Format(minuteFormat)
	}
	return st.Until.UTC().Format(secondFormat)
}

// ended reports whether the end of a stream has passed: it stays then.
func ended(st *control.Stream) bool { return st.Until != nil && !st.Until.After(time.Now()) }

// addTimes adds the fields to a form, or what they came to.
func (f *streamForm) addTimes(e *entry, st *control.Stream) {
	add := func(view fieldView) {
		view.ID, view.Value = f.Prefix+view.Name, e.values[view.Name]
		for i := range view.Options {
			view.Options[i].Selected = view.Options[i].Value == view.Value
		}
		f.More = append(f.More, view)
	}
	if st == nil {
		add(fieldView{Name: startField, Label: "Start", Type: destination.InputChoice, Required: true, Hint: "With which event the stream begins. It cannot be changed later.",
			Options: []optionView{{Value: "now", Label: "Now: events from now on"}, {Value: "earliest", Label: "Earliest: everything that is stored"}, {Value: startMoment, Label: "At a time that has passed"}}})
		add(fieldView{Name: momentField, Label: "Start time", Type: inputTime, Hint: "In UTC. For a start at a time: events accepted from then on."})
	}
	if st == nil || !ended(st) {
		add(fieldView{Name: untilField, Label: "End", Type: inputTime, Hint: "In UTC. The stream is done when all events accepted before it have arrived. Empty is never."})
	}
	add(fieldView{Name: strictField, Label: strictLabel, Type: destination.InputCheckbox, Selected: e.values[strictField] == checked,
		Hint: "An event that alone keeps failing, for an hour and 20 tries, is otherwise set aside in quarantine so that those behind it can go on. With this they wait. What the destination refuses as such is set aside either way."})
	f.MoreOpen = f.MoreOpen || st != nil && (st.Strict || st.Until != nil && !ended(st))
}

// timeFacts tells what of a stream's beginning and end cannot be changed; whole is
// for those who may change nothing.
func timeFacts(st *control.Stream, whole bool) []fact {
	out := []fact{{"Start", map[string]string{"now": "when it was created", "earliest": "the oldest event that was stored then"}[st.Start]}}
	if t, err := time.Parse(time.RFC3339, st.Start); err == nil {
		out[0].Value = utcText(t)
	}
	if st.Until != nil && (whole || ended(st)) {
		out = append(out, fact{"End", utcText(*st.Until)})
	}
	if whole && st.Strict {
		out = append(out, fact{strictLabel, "yes"})
	}
	return out
}

func utcText(t time.Time) string { return t.UTC().Format("2 Jan 2006 15:04:05 UTC") }

// setTimes puts what was entered into the stream that is asked for.
func (e *entry) setTimes(spec *control.StreamSpec) (err error) {
	spec.Strict, spec.Start = e.values[strictField] == checked, e.values[startField]
	moment := e.values[momentField]
	switch {
	case spec.Start == startMoment:
		if spec.Start, err = timeOf(momentField, moment); err != nil {
			return err
		}
	case moment != "":
		return sluice.Errorf(sluice.Invalid, "%s is for a start at a time", momentField).WithHint("choose that above, or leave this empty")
	}
	if e.values[untilField] != "" {
		spec.Until, err = timeOf(untilField, e.values[untilField])
	}
	return err
}

// patchTimes adds what differs from the stream to a change.
func (e *entry) patchTimes(patch *control.StreamPatch, st *control.Stream) error {
	if strict := e.values[strictField] == checked; strict != st.Strict {
		patch.Strict = &strict
	}
	until := e.values[untilField]
	if until == untilOf(st) {
		return nil
	}
	if until != "" {
		var err error
		if until, err = timeOf(untilField, until); err != nil {
			return err
		}
	}
	patch.Until = &until
	return nil
}
