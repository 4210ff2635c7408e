package destination

import (
	"encoding/json"
	"strings"
)

// Described is implemented by kinds that describe to people what is entered for
// them. Pages, the command line and the API show the same description.
type Described interface {
	// Form describes the kind. Callers do not change what it returns.
	Form() Form
}

// Form describes what people prepare and enter for a kind.
type Form struct {
	// Title is the kind's name for people, "Amazon S3" for example.
	Title string `json:"title"`
	// About says what the kind is, to choose it by: one sentence.
	About string `json:"about"`
	// Notes are what people have to know before they enter anything: sentences.
	Notes []string `json:"notes"`
	// Inputs are all members of the configuration and all secrets that owners
	// set, in the order in which they are asked for.
	Inputs []Input `json:"fields"`
}

// InputType says how something is entered.
type InputType string

const (
	// InputText is one line.
	InputText InputType = "text"
	// InputNumber is a whole number.
	InputNumber InputType = "number"
	// InputCheckbox is true or false.
	InputCheckbox InputType = "checkbox"
	// InputChoice is one of [Input.Options].
	InputChoice InputType = "choice"
	// InputList is a list of objects with the members [Input.Columns].
	InputList InputType = "list"
	// InputFile is text of several lines, which is pasted or read from a file.
	InputFile InputType = "file"
)

// Input describes one thing that is entered.
type Input struct {
	// Name is where the value goes in the API: "config.port" or "secrets.token",
	// and the member alone for the column of a list.
	Name  string    `json:"name"`
	Label string    `json:"label"`
	Hint  string    `json:"hint"`
	Type  InputType `json:"type"`
	// Required says that there is no stream without it.
	Required bool `json:"required"`
	// Default is the value that is stored when it is left out; nil when there is
	// none.
	Default any `json:"default,omitempty"`
	// Empty says what is done when it is left empty: a few words that stand in its
	// place.
	Empty string `json:"empty,omitempty"`
	// Example is a value that would be accepted.
	Example string `json:"example,omitempty"`
	// Secret says that a page never shows the stored value.
	Secret bool `json:"secret,omitempty"`
	// Fixed says that it cannot be changed once it is stored.
	Fixed bool `json:"fixed,omitempty"`
	// Administrators says that only administrators may set it.
	Administrators bool `json:"administrators,omitempty"`
	// When names another input and its value, as "config.format=event": only
	// then may this one be sent.
	When string `json:"when,omitempty"`
	// Min and Max bound a number, and Max the rows of a list; both are 0 when
	// nothing is to be bounded.
	Min     int      `json:"min,omitempty"`
	Max     int      `json:"max,omitempty"`
	Options []Option `json:"options,omitempty"`
	Columns []Input  `json:"columns,omitempty"`
	// Button labels what adds a row to a list, or replaces a stored secret.
	Button string `json:"button,omitempty"`
}

// Member returns the description of a member of the configuration.
func (f *Form) Member(name string) (Input, bool) {
	for i := range f.Inputs {
		if f.Inputs[i].Name == "config."+name {
			return f.Inputs[i], true
		}
	}
	return Input{}, false
}

// OutOfPlace reports whether a member of a configuration does not go with the
// others: it is for another value of one of them.
func (f *Form) OutOfPlace(members map[string]json.RawMessage, name string) bool {
	input, ok := f.Member(name)
	if !ok || input.When == "" {
		return false
	}
	other, want, _ := strings.Cut(strings.TrimPrefix(input.When, "config."), "=")
	var is string
	err := json.Unmarshal(members[other], &is)
	return err == nil && is != want // a wrong one is told by the kind
}

// Option is one value of an [InputChoice].
type Option struct {
	Value string `json:"value"`
	Label string `json:"label"`
}
