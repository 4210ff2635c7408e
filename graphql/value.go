package graphql

import (
	"encoding/json"
	"errors"
	"math"
)

// text is an input of any scalar that is written as a string: String, ID and the
// classes of global ids. One that is absent or null is not set.
type text struct {
	set   bool
	value string
}

// ImplementsGraphQLType says that every scalar is read.
func (*text) ImplementsGraphQLType(string) bool { return true }

// Nullable marks the type as one that takes null.
func (*text) Nullable() {}

// UnmarshalGraphQL implements the library's interface for scalars.
func (t *text) UnmarshalGraphQL(input any) error {
	switch v := input.(type) {
	case nil:
		*t = text{}
		return nil
	case string:
		*t = text{true, v}
		return nil
	}
	return errors.New("a string is expected")
}

// pointer returns nil when the text is not set.
func (t text) pointer() *string {
	if !t.set {
		return nil
	}
	return &t.value
}

// flag is a Boolean that may be absent.
type flag struct {
	set, value bool
}

// ImplementsGraphQLType says that Booleans are read.
func (*flag) ImplementsGraphQLType(name string) bool { return name == "Boolean" }

// Nullable marks the type as one that takes null.
func (*flag) Nullable() {}

// UnmarshalGraphQL implements the library's interface for scalars.
func (f *flag) UnmarshalGraphQL(input any) error {
	switch v := input.(type) {
	case nil:
		*f = flag{}
		return nil
	case bool:
		*f = flag{true, v}
		return nil
	}
	return errors.New("true or false is expected")
}

func (f flag) pointer() *bool {
	if !f.set {
		return nil
	}
	return &f.value
}

// count is an Int that may be absent.
type count struct {
	set   bool
	value int
}

// ImplementsGraphQLType says that whole numbers are read.
func (*count) ImplementsGraphQLType(name string) bool { return name == "Int" }

// Nullable marks the type as one that takes null.
func (*count) Nullable() {}

// UnmarshalGraphQL implements the library's interface for scalars.
func (c *count) UnmarshalGraphQL(input any) error {
	switch v := input.(type) {
	case nil:
		*c = count{}
		return nil
	case int32:
		*c = count{true, int(v)}
		return nil
	case int:
		*c = count{true, v}
		return nil
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<31 {
			*c = count{true, int(v)}
			return nil
		}
	}
	return errors.New("a whole number is expected")
}

// document is a value of the scalar JSON.
type document struct {
	set   bool
	value any
}

// ImplementsGraphQLType says that JSON is read and written.
func (document) ImplementsGraphQLType(name string) bool { return name == "JSON" }

// Nullable marks the type as one that takes null.
func (*document) Nullable() {}

// UnmarshalGraphQL implements the library's interface for scalars.
func (d *document) UnmarshalGraphQL(input any) error {
	*d = document{input != nil, input}
	return nil
}

// MarshalJSON writes the value.
func (d document) MarshalJSON() ([]byte, error) { return json.Marshal(d.value) }
