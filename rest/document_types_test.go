package rest_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/deliver"
	"github.com/sluicelog/sluice/destination"
)

// answerTypes are what the schemas of answers describe.
func answerTypes() map[string]any {
	return map[string]any{
		"Address": control.Address{}, "Attempt": control.Attempt{}, "Check": control.Check{}, "EventCounts": control.EventCounts{}, "EventPage": control.FoundEvents{},
		"Failure": control.Failure{}, "Field": destination.Input{}, "Filter": sluice.Filter{}, "FoundEvent": control.FoundEvent{}, "Health": control.Health{},
		"Hour": control.HourCounts{}, "IndexStatus": control.IndexFigures{}, "Kind": control.KindForm{}, "Lane": control.Lane{}, "Ledger": sluice.Ledger{},
		"LagSample": control.LagSample{}, "Me": control.Me{}, "Member": control.Member{}, "Minute": control.Minute{}, "Namespace": control.Namespace{}, "NewUser": control.User{}, "Notices": control.NoticeSettings{},
		"Preview": control.Preview{}, "QuarantinedEvent": deliver.Quarantined{}, "RetriedStream": control.Retried{}, "SealingKeys": control.SealingKeys{},
		"Stream": control.Stream{}, "Trying": control.Trying{},
	}
}

// Every member that an answer can have, or must have, is in the document, and no
// other: also those that no test sees.
func TestDocumentKnowsTheTypesOfAnswers(t *testing.T) {
	for name, v := range answerTypes() {
		members, always := membersOf(reflect.TypeOf(v))
		gotMembers, gotAlways := document().Object("components", "schemas", name)
		if !slices.Equal(gotMembers, members) || !slices.Equal(gotAlways, always) {
			t.Errorf("%s: openapi.yaml has %v, always %v; the answer has %v, always %v", name, gotMembers, gotAlways, members, always)
		}
	}
	members, always := membersOf(reflect.TypeFor[control.Token]())
	got, gotAlways := document().Object("components", "schemas", "NewToken")
	if !slices.Equal(got, members) || !slices.Equal(without(gotAlways, "token"), always) {
		t.Errorf("NewToken: openapi.yaml has %v, always %v; the answer has %v, always %v", got, gotAlways, members, always)
	}
	for name, hidden := range map[string]string{"Token": "token", "User": "password"} {
		of := map[string]reflect.Type{"Token": reflect.TypeFor[control.Token](), "User": reflect.TypeFor[control.User]()}[name]
		members, _ := membersOf(of)
		if got, _ := document().Object("components", "schemas", name); !slices.Equal(got, without(members, hidden)) {
			t.Errorf("%s: openapi.yaml has %v, the answer has %v but for %s", name, got, members, hidden)
		}
	}
}

// Every member that a body may have is in the document, and no other.
func TestDocumentKnowsTheTypesOfBodies(t *testing.T) {
	schema := func(name string) []string { return []string{"components", "schemas", name} }
	body := func(method, path string) []string {
		return []string{"paths", path, method, "requestBody", "content", "application/json", "schema"}
	}
	for _, b := range []struct {
		place []string
		is    any
	}{
		{schema("StreamSpec"), control.StreamSpec{}}, {schema("StreamPatch"), control.StreamPatch{}}, {schema("FilterSpec"), control.FilterPatch{}},
		{schema("TokenSpec"), control.TokenSpec{}},
		{body("post", "/api/v1/users"), control.UserSpec{}}, {body("patch", "/api/v1/users/{id}"), control.UserPatch{}}, {body("post", "/api/v1/members"), control.MemberSpec{}},
	} {
		members, _ := membersOf(reflect.TypeOf(b.is))
		if got, _ := document().Object(b.place...); !slices.Equal(got, members) {
			t.Errorf("%v: openapi.yaml has %v, the body has %v", b.place, got, members)
		}
	}
}

// Each schema is compared with a type, or is one of those that have none here.
func TestDocumentHasNoOtherTypes(t *testing.T) {
	known := []string{
		"BadEvent", "CollectorAnswer", "CollectorEvent", "Count", "Event", "LiveGap", "Posted", "Problem", "QuarantineChoice", // compared with answers only
		"AddressKind", "OptionalTime", "Role", "Roles", "Scope", "Status", "StreamID", "Time", // no objects
		"FilterSpec", "NewToken", "StreamFields", "StreamPatch", "StreamSpec", "Token", "TokenSpec", "User", // above
	}
	for _, name := range document().Schemas() {
		if _, ok := answerTypes()[name]; !ok && !slices.Contains(known, name) {
			t.Errorf("%s is in openapi.yaml, and no type is compared with it: name it in answerTypes", name)
		}
	}
}

// membersOf returns the names that a struct has in JSON, those of embedded ones
// included, and those that are always there.
func membersOf(t reflect.Type) (all, always []string) {
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			more, moreAlways := membersOf(f.Type)
			all, always = append(all, more...), append(always, moreAlways...)
		case name == "-" || !f.IsExported():
		default:
			all = append(all, name)
			if !strings.HasPrefix(options, "omit") {
				always = append(always, name)
			}
		}
	}
	slices.Sort(all)
	slices.Sort(always)
	return all, always
}

func without(list []string, name string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == name })
}
