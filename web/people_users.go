package web

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/secret"
)

const (
	titleUsers = "Users"
	// maxRoles bounds the roles of a user that a list shows.
	maxRoles = 5
)

// usersData is the data of the page of the users.
type usersData struct {
	Root          string
	Users         []userLine
	Finder        finder
	Made          *control.User // just now: the one time that a made password is shown
	Name          string        // entered
	Administrator bool
	Once          string // number of the form
	Problem       *formProblem
}

// userLine is a user in a list, or on a page.
type userLine struct {
	control.User
	Self   bool
	Places []placeRow // the first roles
	Others int        // further ones
}

func lineOf(v *visit, u control.User, most int) userLine {
	line := userLine{User: u, Self: u.ID == v.me.ID}
	for _, name := range slices.Sorted(maps.Keys(u.Roles)) {
		if len(line.Places) == most {
			line.Others = len(u.Roles) - most
			break
		}
		line.Places = append(line.Places, placeRow{name, groupAddress(name), u.Roles[name]})
	}
	return line
}

func (s *Site) usersPage(ctx context.Context, v *visit, p *place) (answer, error) {
	data, err := s.usersData(ctx, v, p)
	if err != nil {
		return answer{}, err
	}
	return show("users", p.Title(titleUsers), data), nil
}

func (s *Site) usersData(ctx context.Context, v *visit, p *place) (*usersData, error) {
	list, err := s.service.Users(ctx, v.by)
	if err != nil {
		return nil, err
	}
	root := p.Root + "/users"
	data := &usersData{Root: root, Once: s.forms.number(), Finder: finder{Action: root, Label: "User name", Query: v.URL.Query().Get("q")}}
	slices.SortFunc(list, func(a, b control.User) int { return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
	for _, u := range find(&data.Finder, list, func(u control.User) string { return u.Name }) {
		data.Users = append(data.Users, lineOf(v, u, maxRoles))
	}
	return data, nil
}

// createUser makes a user. A password that was made is shown once, like a token.
func (s *Site) createUser(ctx context.Context, v *visit, p *place) (answer, error) {
	number := v.PostForm.Get("once")
	if !s.forms.first(v.me.ID, number) {
		return redirectWith(p.Root+"/users", "form_repeated"), nil
	}
	spec := control.UserSpec{Name: strings.TrimSpace(v.PostForm.Get("name")), Administrator: v.PostForm.Get("administrator") != "",
		Password: secret.Text(v.PostForm.Get("new_password"))}
	made, err := s.service.CreateUser(ctx, v.by, spec)
	if err != nil {
		s.forms.forget(v.me.ID, number)
	}
	data, failed := s.usersData(ctx, v, p)
	if failed != nil {
		return answer{}, failed
	}
	if err != nil {
		data.Name, data.Administrator = spec.Name, spec.Administrator
		return refuse("users", p.Title(titleUsers), data, &data.Problem, err)
	}
	data.Made = &made
	return show("users", p.Title(titleUsers), data), nil
}

// userData is the data of the page of one user.
type userData struct {
	Root    string
	User    userLine
	Made    string // the password that was made just now
	Once    string
	Problem *formProblem
}

func (s *Site) userPage(ctx context.Context, v *visit, p *place) (answer, error) {
	data, err := s.userData(ctx, v, p)
	if err != nil {
		return answer{}, err
	}
	return show("user", p.Title(data.User.Name), data), nil
}

func (s *Site) userData(ctx context.Context, v *visit, p *place) (*userData, error) {
	u, err := s.service.User(ctx, v.by, v.PathValue("user"))
	if err != nil {
		return nil, err
	}
	return &userData{Root: p.Root + "/users", User: lineOf(v, u, maxPeople), Once: s.forms.number()}, nil
}

// changeUser makes a user an administrator or not, and disabled or not.
func (s *Site) changeUser(ctx context.Context, v *visit, p *place) (answer, error) {
	data, err := s.userData(ctx, v, p)
	if err != nil {
		return answer{}, err
	}
	patch, err := userPatch(v)
	if err == nil {
		_, err = s.service.UpdateUser(ctx, v.by, data.User.ID, patch)
	}
	if err != nil {
		return refuse("user", p.Title(data.User.Name), data, &data.Problem, err)
	}
	return redirectWith(data.Root+"/"+data.User.ID, "user_changed"), nil
}

func userPatch(v *visit) (patch control.UserPatch, err error) {
	yes := v.PostForm.Get("to") == "yes"
	switch v.PostForm.Get("change") {
	case "administrator":
		patch.Administrator = &yes
	case "disabled":
		patch.Disabled = &yes
	default:
		err = sluice.Errorf(sluice.Invalid, "there is nothing to change").WithHint("use one of the buttons")
	}
	return patch, err
}

// setPassword gives a user another password: the one that was entered, or one
// that is made and shown once.
func (s *Site) setPassword(ctx context.Context, v *visit, p *place) (answer, error) {
	data, err := s.userData(ctx, v, p)
	if err != nil {
		return answer{}, err
	}
	page, number := data.Root+"/"+data.User.ID, v.PostForm.Get("once")
	if !s.forms.first(v.me.ID, number) {
		return redirectWith(page, "form_repeated"), nil
	}
	next := secret.Text(v.PostForm.Get("new_password"))
	changed, err := s.service.UpdateUser(ctx, v.by, data.User.ID, control.UserPatch{Password: &next})
	if err != nil {
		s.forms.forget(v.me.ID, number)
		return refuse("user", p.Title(data.User.Name), data, &data.Problem, err)
	}
	if next != "" {
		return redirectWith(page, "user_changed"), nil
	}
	data.Made = changed.Password
	return show("user", p.Title(data.User.Name), data), nil
}
