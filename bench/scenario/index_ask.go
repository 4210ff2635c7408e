package scenario

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/sluicelog/sluice/bench/corpus"
	"github.com/sluicelog/sluice/bench/report"
	"github.com/sluicelog/sluice/bench/target"
)

// questions is how many of a kind are measured; small logs, as in tests, are asked
// less. A sixth of them comes before, to warm the server up.
func questions(events uint64) int { return int(min(300, 10+events/100)) }

// asker draws questions about a log.
type asker struct {
	corpus *corpus.Corpus
	random *rand.Rand
	events uint64 // that were sent
	after  string // of the page that was read last
	depth  int    // of that page
}

// lookup is a kind of question with a page for an answer.
type lookup struct {
	name string
	next func(a *asker) target.Question
	// wrong says whether the answer to a question cannot be; nil looks for events.
	wrong func(a *asker, q target.Question, p *target.Page) bool
}

// lookups are what is asked for. Whatever is drawn for them comes with the
// frequency that it has in the log, but for organizations, which come evenly.
func lookups() []lookup {
	return []lookup{
		{name: "newest", next: newest},
		{name: "organization", next: func(a *asker) target.Question { return target.Question{Namespace: a.organization()} }},
		{name: "rare actor", next: func(a *asker) target.Question {
			return target.Question{Phrase: "actor:" + corpus.RareActor(a.random.IntN(corpus.RareActors))}
		}, wrong: wrongRare},
		{name: "three qualifiers", next: threeQualifiers, wrong: func(*asker, target.Question, *target.Page) bool { return false }},
		{name: "word", next: func(a *asker) target.Question { return target.Question{Phrase: a.corpus.Sample(a.random).Word} }},
	}
}

func (a *asker) organization() string { return corpus.Tenant(a.random.IntN(corpus.Organizations)) }

// newest asks for the newest page and for those behind it, ten in all.
func newest(a *asker) target.Question {
	const pages = 10
	if a.depth++; a.depth > pages {
		a.depth, a.after = 1, ""
	}
	return target.Question{After: a.after}
}

// threeQualifiers asks for what an actor did to an organization within a third of
// the time, by type. There may be nothing.
func threeQualifiers(a *asker) target.Question {
	s := a.corpus.Sample(a.random)
	day := corpus.From().AddDate(0, 0, a.random.IntN(corpus.Days*2/3))
	return target.Question{Namespace: s.Organization, Phrase: fmt.Sprintf("type:%s actor:%s created:%s..%s", s.Type, s.Actor,
		day.Format(time.DateOnly), day.AddDate(0, 0, corpus.Days/3).Format(time.DateOnly))}
}

// wrongRare compares with what was sent; a log of many millions has further pages.
func wrongRare(a *asker, q target.Question, p *target.Page) bool {
	for n := range corpus.RareActors {
		if q.Phrase == "actor:"+corpus.RareActor(n) {
			return uint64(len(p.Events)) != min(corpus.Rare(n, a.events), target.PageSize)
		}
	}
	return true
}

// askPages measures pages and counts.
func askPages(ctx context.Context, s *session) error {
	if err := s.again(ctx, "-pages", true); err != nil {
		return err
	}
	if _, err := s.awaitIndex(ctx); err != nil {
		return err
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	a := &asker{corpus: s.filled.corpus, random: rand.New(rand.NewPCG(1, 2)), events: s.filled.Events}
	s.extra(wrongAnswers, 0)
	for _, l := range lookups() {
		if err := s.pages(ctx, a, l); err != nil {
			return fmt.Errorf("ask for %s: %w", l.name, err)
		}
	}
	if err := s.counts(ctx, a); err != nil {
		return fmt.Errorf("ask for counts: %w", err)
	}
	return s.peak("pages and counts")
}

// pages measures one kind of question.
func (s *session) pages(ctx context.Context, a *asker, l lookup) error {
	a.after, a.depth = "", 0
	times, err := a.timed(func() (time.Duration, error) {
		q := l.next(a)
		page, err := s.sluice.Page(ctx, q)
		if err != nil {
			return 0, err
		}
		p := &page.Body
		a.after = p.Next
		wrong := p.Incomplete || p.Missing > 0
		if l.wrong != nil {
			wrong = wrong || l.wrong(a, q, p)
		} else {
			wrong = wrong || len(p.Events) == 0
		}
		if wrong {
			s.result.Extra[wrongAnswers]++
			s.result.Error = fmt.Sprintf("wrong answer to %+v: %d events, missing %d, incomplete %v", q, len(p.Events), p.Missing, p.Incomplete)
		}
		return page.Took, nil
	})
	s.quantiles(l.name, times)
	return err
}

// counts measures counts a day over all days, of one organization each, and of the
// one that has the most events.
func (s *session) counts(ctx context.Context, a *asker) error {
	end := corpus.From().AddDate(0, 0, corpus.Days-1)
	within := fmt.Sprintf("created:%s..%s", corpus.From().Format(time.DateOnly), end.Format(time.DateOnly))
	count := func(organization func() string) ([]float64, error) {
		return a.timed(func() (time.Duration, error) {
			c, err := s.sluice.Count(ctx, target.Question{Namespace: organization(), Phrase: within})
			if c.Body.Events == 0 && err == nil {
				s.result.Extra[wrongAnswers]++
			}
			return c.Took, err
		})
	}
	times, err := count(a.organization)
	if err != nil {
		return err
	}
	s.quantiles(countMillis, times)
	largest := a.corpus.Largest()
	times, err = count(func() string { return largest })
	s.extra(countMillis+", largest ms", report.Median(times))
	return err
}

// timed asks until enough answers are measured, and returns their milliseconds.
func (a *asker) timed(question func() (time.Duration, error)) (list []float64, err error) {
	counted := questions(a.events)
	warm := counted / 6
	for n := range warm + counted {
		took, err := question()
		if err != nil {
			return nil, err
		}
		if n >= warm {
			list = append(list, milliseconds(int64(took)))
		}
	}
	return list, nil
}

// quantiles keeps the middle of times, what one in a hundred exceeds, and the most.
func (s *session) quantiles(name string, times []float64) {
	if len(times) == 0 {
		return
	}
	slices.Sort(times)
	s.extra(name+" p50 ms", report.Median(times))
	s.extra(name+" p99 ms", times[(len(times)*99+99)/100-1])
	s.extra(name+" max ms", times[len(times)-1])
}

// exportEvents measures exports of a piece of the log, and of one organization.
func exportEvents(ctx context.Context, s *session) error {
	if err := s.again(ctx, "-export", true); err != nil {
		return err
	}
	if _, err := s.awaitIndex(ctx); err != nil {
		return err
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	marks := s.filled.Marks
	middle := (len(marks) - 1) / 2
	whole := target.ExportRequest{From: marks[middle], To: marks[middle+1]}
	if err := s.exportPlain(ctx, whole); err != nil {
		return err
	}
	zipped := whole
	zipped.Gzip = true
	x, err := s.sluice.Export(ctx, zipped)
	if err != nil {
		return err
	}
	s.extra(zipRate, float64(x.Events)/x.Took.Seconds())
	x, err = s.export(ctx, target.ExportRequest{Question: target.Question{Namespace: s.filled.corpus.Largest()}})
	if err != nil {
		return err
	}
	s.extra(orgRate, float64(x.Events)/x.Took.Seconds())
	s.extra(orgEvents, float64(x.Events))
	return s.peak("exports")
}

// exportPlain measures the same export several times.
func (s *session) exportPlain(ctx context.Context, e target.ExportRequest) error {
	const times = 3
	var rates, costs []float64
	for range times {
		before, err := s.server.Process().Usage()
		if err != nil {
			return err
		}
		x, err := s.export(ctx, e)
		if err != nil {
			return err
		}
		after, err := s.server.Process().Usage()
		if err != nil {
			return err
		}
		rates = append(rates, float64(x.Events)/x.Took.Seconds())
		costs = append(costs, over((after.CPU-before.CPU).Seconds(), float64(x.Events)/1e6))
	}
	s.extra(exportRate, report.Median(rates))
	s.extra(exportCPU, report.Median(costs))
	return nil
}

// export reads an export, which must have as many lines as the server says.
func (s *session) export(ctx context.Context, e target.ExportRequest) (target.Export, error) {
	x, err := s.sluice.Export(ctx, e)
	if err == nil && x.Events != x.Lines {
		s.result.Extra[wrongAnswers]++
		s.result.Error = fmt.Sprintf("export has %d lines of %d events", x.Lines, x.Events)
	}
	return x, err
}
