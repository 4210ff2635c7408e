package client

import (
	"context"
	"encoding/json"
	"net/http"
)

// Kind is a kind of destination: what people prepare and enter for it.
type Kind struct {
	Name   string   `json:"name"`
	Title  string   `json:"title"` // for people
	About  string   `json:"about"` // what it is, in a sentence
	Notes  []string `json:"notes"`
	Fields []Field  `json:"fields"`
	// Raw is the server's whole answer about the kind.
	Raw json.RawMessage `json:"-"`
}

// Field is something that is entered for a kind.
type Field struct {
	Name  string `json:"name"` // "config.port", "secrets.token"
	Label string `json:"label"`
	Hint  string `json:"hint"`
	// Type is "text", "number", "checkbox", "choice", "list" or "file"; a client
	// takes one that it does not know for text.
	Type     string          `json:"type"`
	Required bool            `json:"required"`
	Default  json.RawMessage `json:"default"` // nil: there is none
	Secret   bool            `json:"secret"`  // never shown again
	Fixed    bool            `json:"fixed"`   // it stays as it was when the stream was created
	// When names another field and its value, "config.format=event": only then
	// may this one be sent.
	When    string  `json:"when"`
	Columns []Field `json:"columns"` // of a list: members of its objects
	Options []struct {
		Value string `json:"value"`
		Label string `json:"label"`
	} `json:"options"`
}

// UnmarshalJSON also keeps the text in Raw.
func (k *Kind) UnmarshalJSON(b []byte) error {
	type plain Kind
	if err := json.Unmarshal(b, (*plain)(k)); err != nil {
		return err
	}
	k.Raw = append(json.RawMessage(nil), b...)
	return nil
}

// Kinds describes the kinds of destinations that the server offers.
func (c *Client) Kinds(ctx context.Context) ([]Kind, error) {
	l := list[Kind]{name: "kinds"}
	err := c.do(ctx, request{method: http.MethodGet, path: "/api/v1/kinds"}, &l)
	return l.items, err
}
