package rest

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sluicelog/sluice/control"
)

// otherStreams is the id under which streams beyond [Config].Measured are summed.
const otherStreams = "other"

// Metrics returns a handler of the metrics that asks for no token, for a
// listener of its own.
func (a *API) Metrics() http.Handler { return a.open(a.writeMetrics) }

// guardedMetrics is for administrators.
func (a *API) guardedMetrics(w http.ResponseWriter, r *http.Request) {
	by, err := a.authenticate(r)
	if err == nil {
		err = control.Operator(by)
	}
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	a.writeMetrics(w, r)
}

func (a *API) writeMetrics(w http.ResponseWriter, r *http.Request) {
	m := &exposition{}
	m.family("sluice_build_info", "gauge", "The running version.")
	m.sample("sluice_build_info", 1, "version", a.version)
	a.intakeMetrics(m)
	a.logMetrics(r.Context(), m)
	a.indexMetrics(r.Context(), m)
	a.transferMetrics(m)
	a.stateMetrics(m)
	a.snapshotMetrics(m)
	a.peopleMetrics(m)
	processMetrics(m)
	a.streamMetrics(r.Context(), m)
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = w.Write(m.buf.Bytes()) // nobody is left to be told
}

// exposition writes the Prometheus text format
// (https://prometheus.io/docs/instrumenting/exposition_formats/).
type exposition struct{ buf bytes.Buffer }

// family begins a metric; its samples follow.
func (m *exposition) family(name, kind, help string) {
	fmt.Fprintf(&m.buf, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

// sample writes one value; labels are names and values in turn.
func (m *exposition) sample(name string, value float64, labels ...string) {
	m.buf.WriteString(name)
	for i := 0; i < len(labels); i += 2 {
		sep := byte(',')
		if i == 0 {
			sep = '{'
		}
		m.buf.WriteByte(sep)
		fmt.Fprintf(&m.buf, `%s="%s"`, labels[i], escapeLabel(labels[i+1]))
	}
	if len(labels) > 0 {
		m.buf.WriteByte('}')
	}
	m.buf.WriteByte(' ')
	m.buf.WriteString(strconv.FormatFloat(value, 'g', -1, 64))
	m.buf.WriteByte('\n')
}

func escapeLabel(s string) string {
	if !strings.ContainsAny(s, "\\\"\n") {
		return s
	}
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s)
}

// one writes a metric that has one sample.
func (m *exposition) one(name, kind, help string, value float64) {
	m.family(name, kind, help)
	m.sample(name, value)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (a *API) intakeMetrics(m *exposition) {
	in := a.service.Intake()
	m.family("sluice_ingest_requests_total", "counter", "Requests whose events were appended, or not.")
	m.sample("sluice_ingest_requests_total", float64(in.Requests), "result", "ok")
	m.sample("sluice_ingest_requests_total", float64(in.Failures), "result", "failed")
	m.family("sluice_ingest_events_total", "counter", "Events that are on disk, and those that were there before.")
	m.sample("sluice_ingest_events_total", float64(in.Accepted), "result", "accepted")
	m.sample("sluice_ingest_events_total", float64(in.Duplicates), "result", "duplicate")
	m.one("sluice_ingest_bytes_total", "counter", "Bytes of the events of appended requests.", float64(in.Bytes))
	m.family("sluice_commit_seconds", "histogram", "Time from handing events to the log until they are on disk.")
	total := uint64(0)
	for i, bound := range control.CommitBuckets() {
		total += in.Commits[i]
		m.sample("sluice_commit_seconds_bucket", float64(total), "le", strconv.FormatFloat(bound.Seconds(), 'g', -1, 64))
	}
	total += in.Commits[len(in.Commits)-1]
	m.sample("sluice_commit_seconds_bucket", float64(total), "le", "+Inf")
	m.sample("sluice_commit_seconds_sum", in.Waited.Seconds())
	m.sample("sluice_commit_seconds_count", float64(total))
}

func (a *API) logMetrics(ctx context.Context, m *exposition) {
	parts := a.service.Partitions(ctx)
	for _, f := range []struct {
		name, kind, help string
		value            func(p *control.PartitionFigures) float64
	}{
		{"sluice_log_events_total", "counter", "Events stored since the beginning.", func(p *control.PartitionFigures) float64 { return float64(p.Stats.Events) }},
		{"sluice_log_blocks_total", "counter", "Blocks written since the start.", func(p *control.PartitionFigures) float64 { return float64(p.Stats.Blocks) }},
		{"sluice_log_raw_bytes_total", "counter", "Bytes of events written since the start.", func(p *control.PartitionFigures) float64 { return float64(p.Stats.Raw) }},
		{"sluice_log_stored_bytes_total", "counter", "Bytes of blocks written since the start.", func(p *control.PartitionFigures) float64 { return float64(p.Stats.Stored) }},
		{"sluice_log_duplicates_total", "counter", "Duplicates found in the log since the start.", func(p *control.PartitionFigures) float64 { return float64(p.Stats.Dup) }},
		{"sluice_log_id_conflicts_total", "counter", "Events stored although another one has the same id, since the start.", func(p *control.PartitionFigures) float64 { return float64(p.Stats.Clashes) }},
		{"sluice_log_disk_bytes", "gauge", "Bytes on disk, preallocated space included.", func(p *control.PartitionFigures) float64 { return float64(p.Stats.Bytes) }},
		{"sluice_log_damaged_ranges", "gauge", "Ranges of the log that cannot be read.", func(p *control.PartitionFigures) float64 { return float64(len(p.Stats.Damage)) }},
		{"sluice_log_skipped_events", "gauge", "Numbers that the last start skipped, because the end of the log was lost.", func(p *control.PartitionFigures) float64 { return float64(p.Stats.Skipped) }},
		{"sluice_log_first_seq", "gauge", "Number of the oldest stored event.", func(p *control.PartitionFigures) float64 { return float64(p.First) }},
		{"sluice_log_last_seq", "gauge", "Number of the newest event.", func(p *control.PartitionFigures) float64 { return float64(p.Last) }},
		{"sluice_log_oldest_age_seconds", "gauge", "Age of the oldest stored event.", func(p *control.PartitionFigures) float64 { return p.Oldest.Seconds() }},
	} {
		m.family(f.name, f.kind, f.help)
		for i := range parts {
			m.sample(f.name, f.value(&parts[i]), "partition", parts[i].Name)
		}
	}
	m.one("sluice_retention_stopped", "gauge", "1 when retention stopped because the clock was set forward, or waits because it may be ahead since the start.",
		truth(a.service.RetentionStopped() || a.service.RetentionWaits()))
}

func (a *API) stateMetrics(m *exposition) {
	m.one("sluice_ready", "gauge", "1 when events are taken.", truth(a.service.Ready() == nil))
	space := a.service.Space()
	if space.Watched {
		m.one("sluice_space_free_bytes", "gauge", "Free bytes of the data folder.", float64(space.Free))
		m.one("sluice_space_floor_bytes", "gauge", "Free bytes below which events are refused.", float64(space.Floor))
	}
	m.one("sluice_space_low", "gauge", "1 when events are refused for want of space.", truth(space.Low))
	m.one("sluice_namespaces", "gauge", "Known groups and projects.", float64(a.service.KnownNamespaces()))
	h := a.service.HealthFigures()
	m.family("sluice_checks_total", "counter", "Scheduled checks of streams since the start.")
	m.sample("sluice_checks_total", float64(h.Checks-h.FailedChecks), "result", "ok")
	m.sample("sluice_checks_total", float64(h.FailedChecks), "result", "failed")
	m.family("sluice_notices_total", "counter", "Notices that were sent, and tries that failed, since the start.")
	m.sample("sluice_notices_total", float64(h.Notices), "result", "ok")
	m.sample("sluice_notices_total", float64(h.NoticeErrors), "result", "failed")
	m.one("sluice_state_changes_total", "counter", "Streams told to be failing, held or recovered, since the start.", float64(h.Told))
	m.one("sluice_secrets_stale", "gauge", "Sealed values of streams that are still to be sealed with the current key.", float64(a.service.StaleSecrets()))
	m.one("sluice_namespaces_unstored_total", "counter", "Times a namespace was met and not stored, for there are too many.", float64(a.service.UnstoredNamespaces()))
}

// Snapshots are those of the control state.
type Snapshots struct {
	Kept     int
	Newest   time.Time // zero when there is none
	Failures uint64    // since the start
}

func (a *API) snapshotMetrics(m *exposition) {
	if a.kept == nil {
		return
	}
	k := a.kept()
	m.one("sluice_control_snapshots", "gauge", "Snapshots of the control state that are kept.", float64(k.Kept))
	if !k.Newest.IsZero() {
		m.one("sluice_control_snapshot_timestamp_seconds", "gauge", "When the newest snapshot of the control state was made.", float64(k.Newest.Unix()))
	}
	m.one("sluice_control_snapshot_failures_total", "counter", "Snapshots of the control state that could not be made, since the start.", float64(k.Failures))
}

func (a *API) peopleMetrics(m *exposition) {
	in := a.service.SignIns()
	m.family("sluice_signins_total", "counter", "Tries to sign in since the start, by how they ended.")
	m.sample("sluice_signins_total", float64(in.Succeeded), "outcome", "success")
	m.sample("sluice_signins_total", float64(in.Refused), "outcome", "refused")
	m.sample("sluice_signins_total", float64(in.Delayed), "outcome", "delayed")
	m.sample("sluice_signins_total", float64(in.Failed), "outcome", "failed")
	m.one("sluice_sessions", "gauge", "Sessions of people who are signed in.", float64(a.service.LiveSessions()))
}
