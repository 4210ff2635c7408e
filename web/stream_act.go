package web

import (
	"context"

	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/web/label"
)

// streamAct is the data of the pages that ask once.
type streamAct struct {
	Row  streamRow
	Back string
	Kept []control.Kept // until when nothing is lost while it is paused
}

// askStream makes the page that asks before something is done to a stream.
func (s *Site) askStream(page, title string) placed {
	return func(ctx context.Context, v *visit, p *place) (answer, error) {
		if err := control.ChangesStreams(v.by, p.Namespace); err != nil {
			return answer{}, err
		}
		st, err := s.streamOf(ctx, v, p)
		if err != nil {
			return answer{}, err
		}
		kinds, err := s.kindsFor(ctx, v)
		if err != nil {
			return answer{}, err
		}
		row, err := s.rowOfStream(ctx, v, p, &st, kindOf(kinds, st.Kind))
		if err != nil {
			return answer{}, err
		}
		data := streamAct{Row: row, Back: row.Address}
		data.Kept, err = s.service.KeptWhilePaused(ctx, v.by, st.ID)
		return show(page, p.Title(title), data), err
	}
}

func (s *Site) pauseStreamPage(ctx context.Context, v *visit, p *place) (answer, error) {
	return s.askStream("stream_pause", label.English().PauseStream)(ctx, v, p)
}

func (s *Site) deleteStreamPage(ctx context.Context, v *visit, p *place) (answer, error) {
	return s.askStream("stream_delete", label.English().DeleteStream)(ctx, v, p)
}

func (s *Site) pauseStream(ctx context.Context, v *visit, p *place) (answer, error) {
	return s.activate(ctx, v, p, false, "stream_paused")
}

func (s *Site) resumeStream(ctx context.Context, v *visit, p *place) (answer, error) {
	return s.activate(ctx, v, p, true, "stream_resumed")
}

func (s *Site) activate(ctx context.Context, v *visit, p *place, active bool, notice string) (answer, error) {
	st, err := s.streamOf(ctx, v, p)
	if err == nil {
		_, err = s.service.UpdateStream(ctx, v.by, st.ID, control.StreamPatch{Active: &active})
	}
	if err != nil {
		return answer{}, err
	}
	return redirectWith(p.Root+"/"+streamsTab, notice), nil
}

func (s *Site) deleteStream(ctx context.Context, v *visit, p *place) (answer, error) {
	st, err := s.streamOf(ctx, v, p)
	if err == nil {
		_, err = s.service.DeleteStream(ctx, v.by, st.ID)
	}
	if err != nil {
		return answer{}, err
	}
	return redirectWith(p.Root+"/"+streamsTab, "stream_deleted"), nil
}
