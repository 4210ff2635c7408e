package control_test

import (
	"encoding/json"
	"errors"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/secret"
)

// on calls a method that takes the id of a stream.
func on[T any](do func(m *matrix, p control.Principal, id sluice.StreamID) (T, error)) func(*matrix, control.Principal, target) (any, error) {
	return func(m *matrix, p control.Principal, tg target) (any, error) { return do(m, p, tg.stream) }
}

// in calls a method that takes a namespace.
func in[T any](do func(m *matrix, p control.Principal, namespace string) (T, error)) func(*matrix, control.Principal, target) (any, error) {
	return func(m *matrix, p control.Principal, tg target) (any, error) { return do(m, p, tg.namespace) }
}

// plain calls a method that takes neither.
func plain[T any](do func(m *matrix, p control.Principal) (T, error)) func(*matrix, control.Principal, target) (any, error) {
	return func(m *matrix, p control.Principal, _ target) (any, error) { return do(m, p) }
}

// operations has an entry for every function that takes a Principal, by its
// name; variants follow a slash.
func operations() map[string]operation {
	out := map[string]operation{}
	for _, list := range []map[string]operation{streamOperations(), deliveryOperations(), eventOperations(), namespaceOperations(), peopleOperations(), instanceOperations()} {
		for name, o := range list {
			out[name] = o
		}
	}
	return out
}

func everywhere() []string { return []string{"own", "foreign", "instance"} }
func tenants() []string    { return []string{"own", "foreign"} }

func streamOperations() map[string]operation {
	change := func(do func(m *matrix, p control.Principal, id sluice.StreamID) (any, error)) operation {
		return operation{need: "change streams", at: everywhere(), do: on(do)}
	}
	bad := func(namespace string) control.StreamSpec {
		return control.StreamSpec{Namespace: namespace, Kind: "none"}
	}
	return map[string]operation{
		"Stream": {need: "read streams", at: everywhere(), do: on(func(m *matrix, p control.Principal, id sluice.StreamID) (any, error) {
			s, err := m.Service.Stream(m.t.Context(), p, id)
			return []any{s.Namespace, s.Name, s.Config, s.VerificationToken}, err
		})},
		"Streams": {need: "read streams", at: everywhere(), list: true, do: in(func(m *matrix, p control.Principal, namespace string) (any, error) {
			return m.Service.Streams(m.t.Context(), p, &namespace)
		})},
		"Streams/all": {need: "read streams", do: plain(func(m *matrix, p control.Principal) ([]control.Stream, error) {
			return m.Service.Streams(m.t.Context(), p, nil)
		})},
		"BoxKey": {need: "change streams", at: everywhere(), do: in(func(m *matrix, p control.Principal, namespace string) (control.BoxKey, error) {
			return m.Service.BoxKey(m.t.Context(), p, namespace)
		})},
		"OpenBox": {need: "change streams", at: everywhere(), do: in(func(m *matrix, p control.Principal, namespace string) (secret.Text, error) {
			return m.Service.OpenBox(m.t.Context(), p, namespace, "token", "none", "bm9uZQ==")
		})},
		"CreateStream": {need: "change streams", at: everywhere(), do: in(func(m *matrix, p control.Principal, namespace string) (control.Stream, error) {
			return m.Service.CreateStream(m.t.Context(), p, bad(namespace))
		})},
		"CreateStream/copy": change(func(m *matrix, p control.Principal, id sluice.StreamID) (any, error) {
			return m.Service.CreateStream(m.t.Context(), p, control.StreamSpec{CopyOf: id, Kind: "none"})
		}),
		"CheckDraft/copy": change(func(m *matrix, p control.Principal, id sluice.StreamID) (any, error) {
			return m.Service.CheckDraft(m.t.Context(), p, control.StreamSpec{CopyOf: id, Kind: "none"})
		}),
		"PreviewStream/copy": change(func(m *matrix, p control.Principal, id sluice.StreamID) (any, error) {
			_, err := m.Service.PreviewStream(m.t.Context(), p, control.StreamSpec{CopyOf: id})
			return nil, err
		}),
		"CountStream": {need: "change streams", at: everywhere(), do: in(func(m *matrix, p control.Principal, namespace string) (any, error) {
			return m.Service.CountStream(m.t.Context(), p, control.StreamSpec{Namespace: namespace, Start: "earliest"})
		})},
		"CountStream/copy": change(func(m *matrix, p control.Principal, id sluice.StreamID) (any, error) {
			return m.Service.CountStream(m.t.Context(), p, control.StreamSpec{CopyOf: id})
		}),
		"CheckDraft": {need: "change streams", at: everywhere(), do: in(func(m *matrix, p control.Principal, namespace string) (control.Check, error) {
			return m.Service.CheckDraft(m.t.Context(), p, bad(namespace))
		})},
		"ChangesStreams": {need: "change streams", at: everywhere(), do: in(func(_ *matrix, p control.Principal, namespace string) (any, error) {
			return nil, control.ChangesStreams(p, namespace)
		})},
		"PreviewStream": {need: "change streams", at: everywhere(), do: in(func(m *matrix, p control.Principal, namespace string) (any, error) {
			_, err := m.Service.PreviewStream(m.t.Context(), p, control.StreamSpec{Namespace: namespace})
			return nil, err
		})},
		"UpdateStream": change(func(m *matrix, p control.Principal, id sluice.StreamID) (any, error) {
			return m.Service.UpdateStream(m.t.Context(), p, id, control.StreamPatch{Config: json.RawMessage(`{"nothing":1}`)})
		}),
		"PauseStream": change(func(m *matrix, p control.Principal, id sluice.StreamID) (any, error) {
			_, err := m.Service.PauseStream(m.t.Context(), p, id)
			return nil, err
		}),
		"ResumeStream": change(func(m *matrix, p control.Principal, id sluice.StreamID) (any, error) {
			_, err := m.Service.ResumeStream(m.t.Context(), p, id)
			return nil, err
		}),
		"CheckStream": change(func(m *matrix, p control.Principal, id sluice.StreamID) (any, error) {
			_, err := m.Service.CheckStream(m.t.Context(), p, id)
			return nil, err
		}),
		"CheckChange": change(func(m *matrix, p control.Principal, id sluice.StreamID) (any, error) {
			return m.Service.CheckChange(m.t.Context(), p, id, control.StreamPatch{Config: json.RawMessage(`{"nothing":1}`)})
		}),
		"RetryStream": change(func(m *matrix, p control.Principal, id sluice.StreamID) (any, error) {
			_, err := m.Service.RetryStream(m.t.Context(), p, id)
			return nil, err
		}),
		"DeleteStream": {need: "change streams", at: everywhere(), do: func(m *matrix, p control.Principal, tg target) (any, error) {
			id := tg.stream
			if tg.stream != m.targets["absent"].stream {
				id = create(m.t, m.World, func(s *control.StreamSpec) { s.Namespace, s.Name = tg.namespace, "" }).ID
			}
			_, err := m.Service.DeleteStream(m.t.Context(), p, id)
			if err != nil && tg.stream != m.targets["absent"].stream {
				if _, err := m.Service.DeleteStream(m.t.Context(), m.Admin, id); err != nil {
					m.t.Error(err)
				}
			}
			return nil, err
		}},
	}
}

func deliveryOperations() map[string]operation {
	read := func(do func(m *matrix, p control.Principal, id sluice.StreamID) (any, error)) operation {
		return operation{need: "read streams", at: everywhere(), do: on(do)}
	}
	change := func(do func(m *matrix, p control.Principal, id sluice.StreamID) (any, error)) operation {
		return operation{need: "change streams", at: everywhere(), do: on(do)}
	}
	return map[string]operation{
		"Attempts": read(func(m *matrix, p control.Principal, id sluice.StreamID) (any, error) {
			return m.Service.Attempts(m.t.Context(), p, id, 1)
		}),
		"Activity": read(func(m *matrix, p control.Principal, id sluice.StreamID) (any, error) {
			return m.Service.Activity(m.t.Context(), p, id, 1)
		}),
		"Lag": read(func(m *matrix, p control.Principal, id sluice.StreamID) (any, error) {
			return m.Service.Lag(m.t.Context(), p, id, 1)
		}),
		"LastDay": read(func(m *matrix, p control.Principal, id sluice.StreamID) (any, error) {
			return m.Service.LastDay(m.t.Context(), p, id)
		}),
		"KeptWhilePaused": read(func(m *matrix, p control.Principal, id sluice.StreamID) (any, error) {
			return m.Service.KeptWhilePaused(m.t.Context(), p, id)
		}),
		"Quarantine": read(func(m *matrix, p control.Principal, id sluice.StreamID) (any, error) {
			return m.Service.Quarantine(m.t.Context(), p, id, 1)
		}),
		"Redeliver": change(func(m *matrix, p control.Principal, id sluice.StreamID) (any, error) {
			return m.Service.Redeliver(m.t.Context(), p, id, control.QuarantineChoice{})
		}),
		"Drop": change(func(m *matrix, p control.Principal, id sluice.StreamID) (any, error) {
			return m.Service.Drop(m.t.Context(), p, id, control.QuarantineChoice{})
		}),
	}
}

func eventOperations() map[string]operation {
	read := func(do func(m *matrix, p control.Principal, tg target) (any, error)) operation {
		return operation{need: "read events", at: tenants(), do: do}
	}
	return map[string]operation{
		"Events": read(func(m *matrix, p control.Principal, tg target) (any, error) {
			return m.Service.Events(m.t.Context(), p, control.EventQuery{Namespace: tg.namespace})
		}),
		"NumberedEvents": read(func(m *matrix, p control.Principal, tg target) (any, error) {
			return m.Service.NumberedEvents(m.t.Context(), p, control.EventQuery{Namespace: tg.namespace, Limit: 50})
		}),
		"StillReads": read(func(_ *matrix, p control.Principal, tg target) (any, error) {
			return nil, control.StillReads(p, p, tg.namespace)
		}),
		"Events/all": {need: "read events", do: plain(func(m *matrix, p control.Principal) (any, error) {
			return m.Service.Events(m.t.Context(), p, control.EventQuery{})
		})},
		"CountEvents/all": {need: "read events", do: plain(func(m *matrix, p control.Principal) (any, error) {
			return m.Service.CountEvents(m.t.Context(), p, control.EventCountQuery{Namespace: "", Phrase: "", By: "type"})
		})},
		"EventAt/all": read(func(m *matrix, p control.Principal, tg target) (any, error) {
			return m.Service.EventAt(m.t.Context(), p, "", tg.event.Partition, tg.event.Seq)
		}),
		"EventAt": read(func(m *matrix, p control.Principal, tg target) (any, error) {
			return m.Service.EventAt(m.t.Context(), p, tg.namespace, tg.event.Partition, tg.event.Seq)
		}),
		"CountEvents": read(func(m *matrix, p control.Principal, tg target) (any, error) {
			return m.Service.CountEvents(m.t.Context(), p, control.EventCountQuery{Namespace: tg.namespace, Phrase: "", By: ""})
		}),
		"Export": read(func(m *matrix, p control.Principal, tg target) (any, error) {
			e, err := m.Service.Export(m.t.Context(), p, control.ExportQuery{Namespace: tg.namespace})
			if err == nil {
				e.Close()
			}
			return nil, err
		}),
		"Follow": read(func(m *matrix, p control.Principal, tg target) (any, error) {
			l, err := m.Service.Follow(m.t.Context(), p, tg.namespace, "", "", "")
			if err == nil {
				l.Close()
			}
			return nil, err
		}),
		"Counts": {need: "read streams", at: everywhere(), do: in(func(m *matrix, p control.Principal, namespace string) (any, error) {
			return m.Service.Counts(m.t.Context(), p, control.CountQuery{Namespace: namespace})
		})},
	}
}

func namespaceOperations() map[string]operation {
	return map[string]operation{
		"Namespaces": {need: "read namespaces", at: tenants(), list: true, do: in(func(m *matrix, p control.Principal, namespace string) (any, error) {
			return m.Service.Namespaces(m.t.Context(), p, namespace)
		})},
		"Organizations": {need: "read namespaces", at: tenants(), list: true, do: in(func(m *matrix, p control.Principal, namespace string) (any, error) {
			return m.Service.Organizations(m.t.Context(), p, namespace)
		})},
		"TopLevels": {need: "read namespaces", do: plain(func(m *matrix, p control.Principal) (any, error) {
			list, _, err := m.Service.TopLevels(m.t.Context(), p, "", 100)
			return list, err
		})},
		"FindNamespace": {need: "read namespaces", at: tenants(), do: in(func(m *matrix, p control.Principal, namespace string) (any, error) {
			return m.Service.FindNamespace(m.t.Context(), p, namespace)
		})},
		"DeclareNamespace": {need: "manage", at: tenants(), do: in(func(m *matrix, p control.Principal, namespace string) (any, error) {
			return m.Service.DeclareNamespace(m.t.Context(), p, namespace+"/x", "none")
		})},
		"Notices": {need: "manage", at: everywhere(), do: in(func(m *matrix, p control.Principal, namespace string) (any, error) {
			return m.Service.Notices(m.t.Context(), p, namespace)
		})},
		"SetNotices": {need: "manage", at: everywhere(), do: in(func(m *matrix, p control.Principal, namespace string) (any, error) {
			return m.Service.SetNotices(m.t.Context(), p, namespace, []control.Address{{Kind: "pigeon"}})
		})},
		"TestNotices": {need: "manage", at: everywhere(), do: in(func(m *matrix, p control.Principal, namespace string) (any, error) {
			return m.Service.TestNotices(m.t.Context(), p, namespace)
		})},
		"Members": {need: "read members", at: everywhere(), do: in(func(m *matrix, p control.Principal, namespace string) (any, error) {
			return m.Service.Members(m.t.Context(), p, &namespace)
		})},
		"Members/all": {need: "read members", do: plain(func(m *matrix, p control.Principal) (any, error) { return m.Service.Members(m.t.Context(), p, nil) })},
		"SetMember": {need: "manage", at: everywhere(), do: in(func(m *matrix, p control.Principal, namespace string) (any, error) {
			return m.Service.SetMember(m.t.Context(), p, control.MemberSpec{Namespace: namespace, User: "owner", Role: "king"})
		})},
		"RemoveMember": {need: "manage", at: tenants(), do: in(func(m *matrix, p control.Principal, namespace string) (any, error) {
			if namespace != m.targets["absent"].namespace {
				if _, err := m.Service.SetMember(m.t.Context(), m.Admin, control.MemberSpec{Namespace: namespace, User: "guest", Role: control.Auditor}); err != nil {
					m.t.Error(err)
				}
				defer func() { _ = m.Service.RemoveMember(m.t.Context(), m.Admin, namespace, "guest") }() // when it is still there
			}
			return nil, m.Service.RemoveMember(m.t.Context(), p, namespace, "guest")
		})},
		"SourceName": {need: "read tokens", at: everywhere(), do: in(func(m *matrix, p control.Principal, namespace string) (any, error) {
			if namespace == m.targets["absent"].namespace {
				return m.Service.SourceName(p, "t4711")
			}
			made, err := m.Service.CreateToken(m.t.Context(), m.Admin, control.TokenSpec{Namespace: namespace, Name: "of " + namespace})
			if err != nil {
				m.t.Error(err)
			}
			return m.Service.SourceName(p, made.ID)
		})},
		"CreateToken": {need: "manage tokens", at: everywhere(), do: in(func(m *matrix, p control.Principal, namespace string) (any, error) {
			return m.Service.CreateToken(m.t.Context(), p, control.TokenSpec{Namespace: namespace, RateLimit: -1})
		})},
		"RevokeToken": {need: "manage tokens", at: everywhere(), orSelf: "change self", do: in(func(m *matrix, p control.Principal, namespace string) (any, error) {
			if namespace == m.targets["absent"].namespace {
				return nil, m.Service.RevokeToken(m.t.Context(), p, "t4711")
			}
			made, err := m.Service.CreateToken(m.t.Context(), m.Admin, control.TokenSpec{Namespace: namespace})
			if err != nil {
				m.t.Error(err)
			}
			return nil, m.Service.RevokeToken(m.t.Context(), p, made.ID)
		})},
	}
}

func peopleOperations() map[string]operation {
	patch := func(m *matrix, p control.Principal, id string) (any, error) {
		short := secret.Text("short")
		return m.Service.UpdateUser(m.t.Context(), p, id, control.UserPatch{Password: &short})
	}
	return map[string]operation{
		"Users":           {need: "read instance", do: plain(func(m *matrix, p control.Principal) (any, error) { return m.Service.Users(m.t.Context(), p) })},
		"User":            {need: "read instance", do: plain(func(m *matrix, p control.Principal) (any, error) { return m.Service.User(m.t.Context(), p, "owner") })},
		"UpdateUser":      {need: "manage instance", do: plain(func(m *matrix, p control.Principal) (any, error) { return patch(m, p, "owner") })},
		"UpdateUser/none": {need: "manage instance", do: plain(func(m *matrix, p control.Principal) (any, error) { return hideAbsence(patch(m, p, "u99")) })},
		"CreateUser": {need: "manage instance", do: plain(func(m *matrix, p control.Principal) (any, error) {
			return m.Service.CreateUser(m.t.Context(), p, control.UserSpec{})
		})},
		"ChangePassword": {need: "change self", do: plain(func(m *matrix, p control.Principal) (any, error) {
			return nil, m.Service.ChangePassword(m.t.Context(), p, "x", "short", home)
		})},
		"Me":               {need: "everybody", do: plain(func(m *matrix, p control.Principal) (any, error) { return m.Service.Me(m.t.Context(), p) })},
		"KindForms":        {need: "everybody", do: plain(func(m *matrix, p control.Principal) (any, error) { return m.Service.KindForms(m.t.Context(), p) })},
		"CreateToken/self": {need: "make own tokens", do: plain(func(m *matrix, p control.Principal) (any, error) { return personalFor(m, p, "") })},
		"CreateToken/other": {need: "manage instance", do: plain(func(m *matrix, p control.Principal) (any, error) {
			return personalFor(m, p, "stranger")
		})},
	}
}

// personalFor tries to make a personal token without scopes.
func personalFor(m *matrix, p control.Principal, user string) (any, error) {
	return m.Service.CreateToken(m.t.Context(), p, control.TokenSpec{Kind: control.KindPersonal, User: user})
}

// hideAbsence takes that something is not there for an answer: the caller may
// know it.
func hideAbsence(answer any, err error) (any, error) {
	if e, ok := errors.AsType[*sluice.Error](err); ok && e.Code == sluice.NotFound {
		return nil, nil
	}
	return answer, err
}

func instanceOperations() map[string]operation {
	manage := func(do func(m *matrix, p control.Principal) (any, error)) operation {
		return operation{need: "manage instance", do: plain(do)}
	}
	return map[string]operation{
		"Operator":    {need: "read instance", do: plain(func(_ *matrix, p control.Principal) (any, error) { return nil, control.Operator(p) })},
		"IndexStatus": {need: "read instance", do: plain(func(m *matrix, p control.Principal) (any, error) { return m.Service.IndexStatus(m.t.Context(), p) })},
		"Info":        {need: "read streams", do: plain(func(m *matrix, p control.Principal) (any, error) { return m.Service.Info(m.t.Context(), p) })},
		"SealingKeys": manage(func(m *matrix, p control.Principal) (any, error) { return m.Service.SealingKeys(m.t.Context(), p) }),
		"RotateKeys":  manage(func(m *matrix, p control.Principal) (any, error) { return m.Service.RotateKeys(m.t.Context(), p) }),
		"PruneKeys":   manage(func(m *matrix, p control.Principal) (any, error) { return m.Service.PruneKeys(m.t.Context(), p) }),
		"Tokens":      {need: "list tokens", do: plain(func(m *matrix, p control.Principal) (any, error) { return m.Service.Tokens(m.t.Context(), p) })},
	}
}
