package web

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
)

const (
	titleTokens = "Personal access tokens"
	titleRevoke = "Revoke token"
	dateFormat  = time.DateOnly
	// tokenLife is the end that the form proposes.
	tokenLife = 30 * 24 * time.Hour
)

// scopeText says what a scope allows.
type scopeText struct {
	Name, Text string
	Chosen     bool
}

// scopeTexts describe the scopes of personal access tokens, the widest first.
func scopeTexts(chosen []string) []scopeText {
	list := []scopeText{
		{Name: "api", Text: "Everything that you may do, changes included."},
		{Name: "read_api", Text: "Read everything that you may read, and change nothing."},
		{Name: "read:audit_log", Text: "Read, search and export the audit log, and nothing else."},
		{Name: "admin:enterprise", Text: "Read the audit log, and manage its streams."},
	}
	for i := range list {
		list[i].Chosen = slices.Contains(chosen, list[i].Name)
	}
	return list
}

// tokensData is the data of the page of the tokens.
type tokensData struct {
	Tokens  []tokenLine
	Made    *control.Token // just now: the one time that its text is shown
	Name    string
	Scopes  []scopeText
	Expires string // a date, "" for no end
	Today   string
	Once    string // number of the form
	Problem *formProblem
}

// tokenLine is a token in the list.
type tokenLine struct {
	control.Token
	LastDay string // of a token that ends with a day
}

func (s *Site) tokensPage(ctx context.Context, v *visit) (answer, error) {
	data, err := s.tokensData(ctx, v)
	if err != nil {
		return answer{}, err
	}
	data.Expires = time.Now().UTC().Add(tokenLife).Format(dateFormat)
	return show("tokens", titleTokens, data), nil
}

// tokensData returns the tokens of who asks, newest first, with an empty form.
func (s *Site) tokensData(ctx context.Context, v *visit) (*tokensData, error) {
	own, err := s.ownTokens(ctx, v)
	if err != nil {
		return nil, err
	}
	data := &tokensData{Scopes: scopeTexts(nil), Today: time.Now().UTC().Format(dateFormat), Once: s.forms.number()}
	for _, t := range slices.Backward(own) {
		data.Tokens = append(data.Tokens, tokenLine{t, lastDay(t.ExpiresAt)})
	}
	return data, nil
}

// ownTokens returns the personal tokens of who asks: administrators may see more.
func (s *Site) ownTokens(ctx context.Context, v *visit) ([]control.Token, error) {
	all, err := s.service.Tokens(ctx, v.by)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(t control.Token) bool { return t.Kind != control.KindPersonal || t.User != v.me.ID }), nil
}

// createToken makes a token and shows its text, once: the answer to the form is
// the only page that has it, and sending the form again makes no second one.
func (s *Site) createToken(ctx context.Context, v *visit) (answer, error) {
	number := v.PostForm.Get("once")
	if !s.forms.first(v.me.ID, number) {
		return redirectWith(tokensPath, "token_repeated"), nil
	}
	spec := control.TokenSpec{Kind: control.KindPersonal, Name: strings.TrimSpace(v.PostForm.Get("name")), Scopes: v.PostForm["scope"]}
	expires := v.PostForm.Get("expires")
	end, err := endOfDay(expires)
	if len(spec.Scopes) == 0 {
		err = sluice.Errorf(sluice.Invalid, "choose at least one scope").WithHint("it says what the token may do")
	}
	var made control.Token
	if err == nil {
		spec.ExpiresAt = end
		made, err = s.service.CreateToken(ctx, v.by, spec)
	}
	if err != nil {
		s.forms.forget(v.me.ID, number)
	}
	data, failed := s.tokensData(ctx, v)
	if failed != nil {
		return answer{}, failed
	}
	if err != nil {
		data.Name, data.Scopes, data.Expires = spec.Name, scopeTexts(spec.Scopes), expires
		return refuse("tokens", titleTokens, data, &data.Problem, err)
	}
	data.Made, data.Expires = &made, time.Now().UTC().Add(tokenLife).Format(dateFormat)
	return show("tokens", titleTokens, data), nil
}

// endOfDay returns when a day ends in UTC, nil for "".
func endOfDay(date string) (*time.Time, error) {
	if date == "" {
		return nil, nil
	}
	day, err := time.Parse(dateFormat, date)
	if err != nil {
		return nil, sluice.Errorf(sluice.Invalid, "the last day cannot be read").WithHint("for example 2027-01-31, or nothing for a token without an end")
	}
	end := day.AddDate(0, 0, 1)
	if !end.After(time.Now()) {
		return nil, sluice.Errorf(sluice.Invalid, "the last day has passed").WithHint("days begin and end in UTC")
	}
	return &end, nil
}

// lastDay returns the day with which a token ends, "" when it ends at another
// time or never.
func lastDay(end *time.Time) string {
	if end == nil || !end.Equal(end.UTC().Truncate(24*time.Hour)) {
		return ""
	}
	return end.UTC().AddDate(0, 0, -1).Format("2 Jan 2006")
}

func (s *Site) revokePage(ctx context.Context, v *visit) (answer, error) {
	t, err := s.ownToken(ctx, v)
	if err != nil {
		return answer{}, err
	}
	return show("revoke", titleRevoke, t), nil
}

func (s *Site) revokeToken(ctx context.Context, v *visit) (answer, error) {
	t, err := s.ownToken(ctx, v)
	if err == nil {
		err = s.service.RevokeToken(ctx, v.by, t.ID)
	}
	if err != nil {
		return answer{}, err
	}
	return redirectWith(tokensPath, "token_revoked"), nil
}

// ownToken returns the token that the path names.
func (s *Site) ownToken(ctx context.Context, v *visit) (control.Token, error) {
	own, err := s.ownTokens(ctx, v)
	if err != nil {
		return control.Token{}, err
	}
	for _, t := range own {
		if t.ID == v.PathValue("token") {
			return t, nil
		}
	}
	return control.Token{}, errNotFound()
}
