package splunktest

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// object is one frame of a request.
type object struct {
	Time       jsontext.Value            `json:"time"`
	Host       string                    `json:"host"`
	Source     string                    `json:"source"`
	SourceType string                    `json:"sourcetype"`
	Index      string                    `json:"index"`
	Event      jsontext.Value            `json:"event"`
	Fields     map[string]jsontext.Value `json:"fields"`
}

// objects reads the objects of a body up to the first that is refused, and the
// refusal. Objects stand one after another; an array is none of them.
func (s *Server) objects(body []byte, channel string) ([]Event, reply) {
	var list []Event
	dec := jsontext.NewDecoder(bytes.NewReader(body), jsontext.AllowDuplicateNames(true))
	for n := 0; ; n++ {
		var o object
		if err := json.UnmarshalDecode(dec, &o); errors.Is(err, io.EOF) {
			return list, reply{}
		} else if err != nil {
			return list, refuse(6, n)
		}
		e := Event{Time: string(o.Time), Host: o.Host, Source: o.Source, SourceType: o.SourceType, Index: o.Index,
			Payload: o.Event, Channel: channel}
		if code := s.judge(&o, &e); code == 7 {
			// Splunk names the object after the one with the wrong index.
			return list, refuse(7, n+1)
		} else if code != 0 {
			return list, refuse(code, n)
		}
		list = append(list, e)
	}
}

// judge returns the code with which an object is refused, 0 for none.
func (s *Server) judge(o *object, e *Event) int {
	switch {
	case len(o.Event) == 0 || string(o.Event) == "null":
		return 12
	case string(o.Event) == `""`:
		return 13
	}
	for _, v := range o.Fields {
		if v[0] == '{' {
			return 15
		}
	}
	if s.options.Indexes != nil {
		if e.Index == "" {
			e.Index = s.options.Indexes[0]
		}
		if !slices.Contains(s.options.Indexes, e.Index) {
			return 7
		}
	}
	if s.options.Refuse != nil {
		return s.options.Refuse(*e)
	}
	return 0
}

var texts = map[int]string{
	6: "Invalid data format", 7: "Incorrect index", 12: "Event field is required",
	13: "Event field cannot be blank", 15: "Error in handling indexed fields",
}

func refuse(code, n int) reply {
	r := say(http.StatusBadRequest, code, texts[code])
	r.invalid = n
	return r
}
