package web

import (
	"context"

	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/web/label"
)

// maxPlaces bounds what the first page lists: more is found by searching.
const maxPlaces = 50

// homeData is the data of the first page.
type homeData struct {
	Query         string
	Administrator bool // sees the installation, too
	Instance      string
	Places        []placeRow
	More          bool
}

// placeRow is an enterprise or group of a list.
type placeRow struct {
	Name, Address string
	Role          control.Role // "" for administrators without one
}

func (s *Site) home(ctx context.Context, v *visit) (answer, error) {
	data := homeData{Query: v.URL.Query().Get("q"), Administrator: v.me.Administrator, Instance: instanceRoot}
	if !v.me.Administrator && len(v.me.Roles) == 0 {
		return show("home", label.English().SearchOrGoTo, data), nil
	}
	list, more, err := s.service.TopLevels(ctx, v.by, data.Query, maxPlaces)
	if err != nil {
		return answer{}, err
	}
	data.More = more
	for _, n := range list {
		data.Places = append(data.Places, placeRow{plain(n.Path, rowText), groupAddress(n.Path), v.by.Role(n.Path)})
	}
	return show("home", label.English().SearchOrGoTo, data), nil
}
