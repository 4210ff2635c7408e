package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sluicelog/sluice"
)

// Limits of request bodies.
const (
	maxBody  = 1 << 20 // bytes
	maxDepth = 16
)

// decode reads the request's body, one JSON object, into dst, a pointer to a
// struct. Unknown and repeated members are errors, which name them.
func decode(r *http.Request, dst any) error {
	body, err := readBody(r)
	if err != nil {
		return err
	}
	known := memberNames(reflect.TypeOf(dst).Elem())
	if err := checkObject(body, known); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	return decodeError(dec.Decode(dst))
}

func readBody(r *http.Request) ([]byte, error) {
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return nil, sluice.Errorf(sluice.Invalid, "the body is compressed").WithHint("send it as it is")
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, sluice.Errorf(sluice.TooLarge, "the body is larger than %d bytes", maxBody)
	}
	if err != nil {
		return nil, sluice.Errorf(sluice.Invalid, "the body ended too early").WithHint("send it again")
	}
	switch {
	case len(bytes.TrimSpace(body)) == 0:
		return nil, sluice.Errorf(sluice.Invalid, "the body is empty").WithHint("send a JSON object")
	case !utf8.Valid(body):
		return nil, sluice.Errorf(sluice.Invalid, "the body is not UTF-8")
	}
	return body, nil
}

// memberNames lists the names of a struct's members in JSON.
func memberNames(t reflect.Type) []string {
	var names []string
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}

// checkObject reports what makes body something else than one JSON object with
// known members, none of which, on any level, is there twice.
func checkObject(body []byte, known []string) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	t, err := dec.Token()
	if err != nil {
		return malformed(err)
	}
	if t != json.Delim('{') {
		return sluice.Errorf(sluice.Invalid, "the body is not a JSON object").WithHint("the members are %s", strings.Join(known, ", "))
	}
	if err := members(dec, 1, known); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return sluice.Errorf(sluice.Invalid, "something follows the JSON object").WithHint("send one object")
	}
	return nil
}

// members reads the members of an object up to its end; known is nil when any
// name will do.
func members(dec *json.Decoder, depth int, known []string) error {
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return malformed(err)
		}
		name, _ := t.(string)
		if seen[name] {
			return sluice.Errorf(sluice.Invalid, "the member %q is there twice", shorten(name))
		}
		seen[name] = true
		if known != nil && !contains(known, name) {
			return unknown(name, known)
		}
		if err := value(dec, depth); err != nil {
			return err
		}
	}
	return closing(dec)
}

func contains(list []string, name string) bool {
	for _, s := range list {
		if s == name {
			return true
		}
	}
	return false
}

func unknown(name string, known []string) error {
	e := sluice.Errorf(sluice.Invalid, "there is no field %q", shorten(name))
	if len(known) == 0 {
		return e
	}
	return e.WithHint("the fields are %s", strings.Join(known, ", "))
}

// value reads one value with everything in it.
func value(dec *json.Decoder, depth int) error {
	t, err := dec.Token()
	if err != nil {
		return malformed(err)
	}
	delim, ok := t.(json.Delim)
	if !ok {
		return nil
	}
	if depth == maxDepth {
		return sluice.Errorf(sluice.Invalid, "the body is nested deeper than %d levels", maxDepth)
	}
	if delim == '{' {
		return members(dec, depth+1, nil)
	}
	for dec.More() {
		if err := value(dec, depth+1); err != nil {
			return err
		}
	}
	return closing(dec)
}

func closing(dec *json.Decoder) error {
	if _, err := dec.Token(); err != nil {
		return malformed(err)
	}
	return nil
}

func malformed(err error) error {
	at := ""
	if s, ok := errors.AsType[*json.SyntaxError](err); ok {
		at = fmt.Sprintf(" near byte %d", s.Offset)
	}
	return sluice.Errorf(sluice.Invalid, "the body is not valid JSON%s", at).WithHint("send one JSON object in UTF-8")
}

// decodeError turns what encoding/json says into words for callers.
func decodeError(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		field := e.Field
		if field == "" {
			field = "the body"
		}
		return sluice.Errorf(sluice.Invalid, "%s must be %s", field, inJSON(e.Type))
	}
	if _, ok := errors.AsType[*time.ParseError](err); ok {
		return sluice.Errorf(sluice.Invalid, "a time cannot be read").WithHint("for example 2027-01-31T00:00:00Z")
	}
	if _, name, ok := strings.Cut(err.Error(), "unknown field "); ok {
		return sluice.Errorf(sluice.Invalid, "there is no field %s", shorten(name)).WithHint("see the manual of the API")
	}
	return sluice.Errorf(sluice.Invalid, "the body cannot be read").WithHint("send one JSON object as in the manual of the API")
}

func inJSON(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return "a whole number"
	case reflect.Slice:
		return "a list"
	case reflect.Map, reflect.Struct:
		return "an object"
	}
	return "of another type"
}

func shorten(s string) string {
	if len(s) <= 64 {
		return s
	}
	return strings.ToValidUTF8(s[:64], "") + "..."
}
