package main

import (
	"context"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/search"
	"github.com/sluicelog/sluice/sqlite"
)

// openSearch opens the folder of the search index, if there is to be one. The
// index itself is opened, and made anew if need be, while the server runs.
func (p *parts) openSearch(cfg *Config, lg *slog.Logger) error {
	if !cfg.Index {
		return nil
	}
	engine, err := sqlite.OpenIndex(filepath.Join(cfg.Data, indexFolder), sqlite.Options{})
	if err != nil {
		return err
	}
	p.index = engine
	p.search = search.New(search.Config{
		Log: p.log, Engine: engine, Busy: p.deliver.Busy, Crowded: p.deliver.Crowded, Logger: lg,
		Pace:      func(ctx context.Context) { p.deliver.Pace(ctx) },
		Retention: map[string]time.Duration{string(sluice.Audit): cfg.RetentionAudit, string(sluice.Git): cfg.RetentionGit},
	})
	return nil
}
