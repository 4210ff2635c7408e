package web

import (
	"context"
	"strings"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
)

const titleMembers = "Members"

// membersData is the data of the page of the members.
type membersData struct {
	Root    string // of the addresses of members
	Place   string
	Members []memberLine
	Finder  finder
	Name    string // entered
	Role    control.Role
	Problem *formProblem // of the form
	Refused *formProblem // of a change in the list
}

// memberLine is a member in the list.
type memberLine struct {
	control.Member
	Self  bool
	Other control.Role // that the button gives
}

func (s *Site) membersPage(ctx context.Context, v *visit, p *place) (answer, error) {
	data, err := s.membersData(ctx, v, p)
	if err != nil {
		return answer{}, err
	}
	return show("members", p.Title(titleMembers), data), nil
}

func (s *Site) membersData(ctx context.Context, v *visit, p *place) (*membersData, error) {
	list, err := s.membersOf(ctx, v, p)
	if err != nil {
		return nil, err
	}
	root := p.Root + "/members"
	data := &membersData{Root: root, Place: p.Name, Role: control.Auditor,
		Finder: finder{Action: root, Label: "User name", Query: v.URL.Query().Get("q")}}
	for _, m := range find(&data.Finder, list, func(m control.Member) string { return m.Name }) {
		line := memberLine{Member: m, Self: m.User == v.me.ID, Other: control.Owner}
		if m.Role == control.Owner {
			line.Other = control.Auditor
		}
		data.Members = append(data.Members, line)
	}
	return data, nil
}

// membersOf lists the members of an enterprise or group; the instance has none.
func (s *Site) membersOf(ctx context.Context, v *visit, p *place) ([]control.Member, error) {
	if p.Namespace == sluice.Instance {
		return nil, errNotFound()
	}
	return s.service.Members(ctx, v.by, &p.Namespace)
}

// setMember gives a role to a user that the form names, or another one to a
// member of the list.
func (s *Site) setMember(ctx context.Context, v *visit, p *place) (answer, error) {
	list, err := s.membersOf(ctx, v, p)
	if err != nil {
		return answer{}, err
	}
	name, listed := strings.TrimSpace(v.PostForm.Get("name")), v.PostForm.Get("user")
	spec := control.MemberSpec{Namespace: p.Namespace, User: name, Role: control.Role(v.PostForm.Get("role"))}
	if listed != "" {
		spec.User = listed
	} else {
		err = newMember(list, name)
	}
	var set control.Member
	if err == nil {
		set, err = s.service.SetMember(ctx, v.by, spec)
	}
	if err != nil {
		data, failed := s.membersData(ctx, v, p)
		if failed != nil {
			return answer{}, failed
		}
		into := &data.Refused
		if listed == "" {
			data.Name, data.Role, into = name, spec.Role, &data.Problem
		}
		return refuse("members", p.Title(titleMembers), data, into, err)
	}
	if set.User == v.me.ID && set.Role != control.Owner && !v.me.Administrator {
		return redirectWith(p.Root+"/audit-log", "member_set"), nil // the page is no longer theirs
	}
	return redirectWith(p.Root+"/members", "member_set"), nil
}

// newMember reports whether somebody without a role is named.
func newMember(list []control.Member, name string) error {
	if name == "" {
		return sluice.Errorf(sluice.Invalid, "enter a user name").WithHint("an administrator makes users and can tell you the name")
	}
	for _, m := range list {
		if strings.EqualFold(m.Name, name) {
			return sluice.Errorf(sluice.Conflict, "%s is a member already, with the role %s", m.Name, m.Role).WithHint("change the role in the list below")
		}
	}
	return nil
}

func (s *Site) removeMemberPage(ctx context.Context, v *visit, p *place) (answer, error) {
	m, err := s.member(ctx, v, p)
	if err != nil {
		return answer{}, err
	}
	return show("confirm", p.Title("Remove a member"), removal(v, p, m)), nil
}

func removal(v *visit, p *place, m control.Member) *confirmation {
	c := &confirmation{
		Heading: "Remove " + m.Name + " from " + p.Name + "?",
		Lines: []string{
			"The role " + string(m.Role) + " is taken away from the next request on, also from personal access tokens. The user remains, and what was done stays in the audit log.",
		},
		Action: p.Root + "/members/" + m.User + "/remove", Button: "Remove member", Back: p.Root + "/members", Keep: "Keep the member",
	}
	if m.User == v.me.ID {
		c.Lines = append(c.Lines, "This is you: you will not see these pages any more.")
	}
	return c
}

func (s *Site) removeMember(ctx context.Context, v *visit, p *place) (answer, error) {
	m, err := s.member(ctx, v, p)
	if err != nil {
		return answer{}, err
	}
	if err := s.service.RemoveMember(ctx, v.by, p.Namespace, m.User); err != nil {
		c := removal(v, p, m)
		return refuse("confirm", p.Title("Remove a member"), c, &c.Problem, err)
	}
	if m.User == v.me.ID && !v.me.Administrator {
		return redirectWith(home, "member_removed"), nil
	}
	return redirectWith(p.Root+"/members", "member_removed"), nil
}

// member returns the member that the path names.
func (s *Site) member(ctx context.Context, v *visit, p *place) (control.Member, error) {
	list, err := s.membersOf(ctx, v, p)
	if err != nil {
		return control.Member{}, err
	}
	for _, m := range list {
		if m.User == v.PathValue("user") {
			return m, nil
		}
	}
	return control.Member{}, errNotFound()
}
