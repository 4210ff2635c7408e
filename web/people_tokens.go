package web

import (
	"context"
	"net"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/secret"
)

const titleProducers = "Tokens of producers"

// producersData is the data of the page of the tokens that producers post with.
type producersData struct {
	Root     string
	Place    string
	Instance bool
	Tokens   []producerLine
	Finder   finder
	Made     *producerLine // just now: the one time that its text is shown
	Chosen   bool          // the text of Made is the one that was entered: it is not shown
	Uses     uses
	Name     string
	Rate     string
	Kind     string
	Once     string // number of the form
	Problem  *formProblem
}

// producerLine is a token in the list.
type producerLine struct {
	control.Token
	Uses uses
}

// uses is what the pages say about how to send events here.
type uses struct {
	ID         string // for the ids of elements
	Address    string // of the server
	Host, Port string // of it
	Path       string // of a project, for the examples
}

// usesOf returns how to send events of a place, as seen from the browser.
func (s *Site) usesOf(v *visit, p *place, id string) uses {
	u := uses{ID: id, Address: s.origin(v.Request), Path: examplePath(p.Namespace)}
	scheme, host, _ := strings.Cut(u.Address, "://")
	u.Host, u.Port = host, map[string]string{"http": "80", "https": "443"}[scheme]
	if host, port, err := net.SplitHostPort(host); err == nil {
		u.Host, u.Port = host, port
	}
	return u
}

// examplePath returns a project of a namespace, for commands that people copy. A
// name that a shell would not take as it is, is left out: producers choose them.
func examplePath(namespace string) string {
	odd := func(c rune) bool {
		return !(unicode.IsLetter(c) || unicode.IsDigit(c) || strings.ContainsRune("-._@+", c))
	}
	switch {
	case namespace == sluice.Instance:
		return "acme/web"
	case strings.ContainsFunc(namespace, odd) || strings.HasPrefix(namespace, "-"):
		return "NAMESPACE/web"
	}
	return namespace + "/web"
}

func (s *Site) producersPage(ctx context.Context, v *visit, p *place) (answer, error) {
	data, err := s.producersData(ctx, v, p)
	if err != nil {
		return answer{}, err
	}
	return show("producers", p.Title(titleProducers), data), nil
}

func (s *Site) producersData(ctx context.Context, v *visit, p *place) (*producersData, error) {
	list, err := s.producersOf(ctx, v, p)
	if err != nil {
		return nil, err
	}
	root := p.Root + "/tokens"
	data := &producersData{Root: root, Place: p.Name, Instance: p.Namespace == sluice.Instance, Kind: control.KindProducer, Once: s.forms.number(), Uses: s.usesOf(v, p, "new"),
		Finder: finder{Action: root, Label: "Token name", Query: v.URL.Query().Get("q")}}
	slices.Reverse(list)
	for _, t := range find(&data.Finder, list, func(t control.Token) string { return t.Name }) {
		data.Tokens = append(data.Tokens, producerLine{t, s.usesOf(v, p, t.ID)})
	}
	return data, nil
}

// producersOf lists the tokens that are bound to a place, oldest first. Personal
// ones are not.
func (s *Site) producersOf(ctx context.Context, v *visit, p *place) ([]control.Token, error) {
	if !p.Owner {
		return nil, control.ChangesStreams(v.by, p.Namespace)
	}
	all, err := s.service.Tokens(ctx, v.by)
	if err != nil {
		return nil, err
	}
	folded := sluice.FoldNamespace(p.Namespace)
	return slices.DeleteFunc(all, func(t control.Token) bool {
		return t.Kind == control.KindPersonal || sluice.FoldNamespace(t.Namespace) != folded
	}), nil
}

// createProducer makes a token and shows its text, once, like createToken.
func (s *Site) createProducer(ctx context.Context, v *visit, p *place) (answer, error) {
	number := v.PostForm.Get("once")
	if !s.forms.first(v.me.ID, number) {
		return redirectWith(p.Root+"/tokens", "token_repeated"), nil
	}
	spec, err := producerSpec(v, p)
	var made control.Token
	if err == nil {
		made, err = s.service.CreateToken(ctx, v.by, spec)
	}
	if err != nil {
		s.forms.forget(v.me.ID, number)
	}
	data, failed := s.producersData(ctx, v, p)
	if failed != nil {
		return answer{}, failed
	}
	if err != nil {
		data.Name, data.Rate, data.Kind = spec.Name, v.PostForm.Get("rate"), spec.Kind
		return refuse("producers", p.Title(titleProducers), data, &data.Problem, err)
	}
	data.Made, data.Chosen = &producerLine{made, s.usesOf(v, p, "made")}, spec.Token != ""
	return show("producers", p.Title(titleProducers), data), nil
}

// producerSpec reads the form of a token.
func producerSpec(v *visit, p *place) (control.TokenSpec, error) {
	form := v.PostForm
	spec := control.TokenSpec{Kind: control.KindProducer, Namespace: p.Namespace, Name: strings.TrimSpace(form.Get("name")), Token: secret.Text(form.Get("text"))}
	if form.Get("kind") == control.KindAdmin {
		spec.Kind = control.KindAdmin
	}
	if rate := strings.TrimSpace(form.Get("rate")); rate != "" {
		n, err := strconv.Atoi(rate)
		if err != nil || n < 0 {
			return spec, sluice.Errorf(sluice.Invalid, "the limit must be a whole number of events a second").WithHint("leave it empty for the server's own limit, if it has one")
		}
		spec.RateLimit = n
	}
	return spec, nil
}

func (s *Site) revokeProducerPage(ctx context.Context, v *visit, p *place) (answer, error) {
	t, err := s.producer(ctx, v, p)
	if err != nil {
		return answer{}, err
	}
	return show("confirm", p.Title(titleRevoke), revocation(p, t)), nil
}

func revocation(p *place, t control.Token) *confirmation {
	line := "Whoever posts events with it is refused at once. Events that were accepted stay. This cannot be undone, but you can create another token."
	if t.Kind == control.KindAdmin {
		line = "Whoever administers this server with it is refused at once. This cannot be undone, but you can create another token."
	}
	return &confirmation{
		Heading: "Revoke the token " + t.Name + "?", Lines: []string{line}, Token: &t,
		Action: p.Root + "/tokens/" + t.ID + "/revoke", Button: "Revoke token", Back: p.Root + "/tokens", Keep: "Keep it",
	}
}

func (s *Site) revokeProducer(ctx context.Context, v *visit, p *place) (answer, error) {
	t, err := s.producer(ctx, v, p)
	if err != nil {
		return answer{}, err
	}
	if err := s.service.RevokeToken(ctx, v.by, t.ID); err != nil {
		c := revocation(p, t)
		return refuse("confirm", p.Title(titleRevoke), c, &c.Problem, err)
	}
	return redirectWith(p.Root+"/tokens", "token_revoked"), nil
}

// producer returns the token that the path names.
func (s *Site) producer(ctx context.Context, v *visit, p *place) (control.Token, error) {
	list, err := s.producersOf(ctx, v, p)
	if err != nil {
		return control.Token{}, err
	}
	for _, t := range list {
		if t.ID == v.PathValue("token") {
			return t, nil
		}
	}
	return control.Token{}, errNotFound()
}
