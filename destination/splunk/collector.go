package splunk

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluicelog/sluice/destination"
)

// RequestTimeout bounds one request, its answer included.
const RequestTimeout = 30 * time.Second

// Limits of a batch whose events are acknowledged by the indexers. Every Send
// then takes a second or more, so it takes more events.
const (
	maxAckEvents = 5000
	maxAckBytes  = 4_000_000
)

// wire is how a collector is reached. Tests speak without TLS, or to an authority
// of their own.
type wire struct {
	scheme    string
	tls       destination.TLSOptions
	transport http.RoundTripper
	release   func() // gives up the share in the transport
}

// Collector delivers to one HTTP Event Collector. It implements
// [destination.Destination].
type Collector struct {
	config  Config
	frame   frame
	env     destination.Env
	wire    wire
	header  http.Header           // of every request with the token; never changed
	redact  *destination.Redactor // knows the token
	packers *destination.Packers
	pace    pace

	events, health, acks *url.URL

	// acking says that the collector gave an acknowledgement id.
	acking atomic.Bool
	// proof is what the last answer to events says about the next ones.
	proof atomic.Int32

	mu    sync.Mutex // guards the map, not the lanes in it
	lanes map[string]*lane
}

var _ destination.Destination = (*Collector)(nil)

// What is known about whether the collector takes events: nothing yet, the last
// ones were accepted, or they were not, for whatever reason.
const (
	unproved int32 = iota
	accepted
	refused
)

const (
	collectorPath = "/services/collector"
	scheme        = "Splunk " // of the header Authorization
)

func newCollector(c Config, token string, env destination.Env, w wire, packers *destination.Packers) *Collector {
	if packers == nil {
		packers = new(destination.Packers)
	}
	base := url.URL{Scheme: w.scheme, Host: net.JoinHostPort(c.Domain, strconv.Itoa(c.Port))}
	at := func(path string) *url.URL {
		u := base
		u.Path = path
		return &u
	}
	// A proxy may have put something in front of the usual path.
	root := collectorPath
	if i := strings.Index(c.Path, collectorPath); i >= 0 {
		root = c.Path[:i+len(collectorPath)]
	}
	h := http.Header{}
	h.Set("User-Agent", "Sluice")
	if env.UserAgent != "" {
		h.Set("User-Agent", env.UserAgent)
	}
	h.Set("Authorization", scheme+token)
	return &Collector{
		config: c, frame: newFrame(c), env: env, wire: w, header: h,
		redact: destination.NewRedactor(token), packers: packers, pace: usualPace(),
		events: at(c.Path), health: at(root + "/health"), acks: at(root + "/ack"),
		lanes: map[string]*lane{},
	}
}

// Limits bounds batches. Without acknowledgement a batch is one request; with it
// a batch is several, and its Timeout covers the wait for their acknowledgements.
// In the mode "auto" they change when the collector turns out to acknowledge.
func (c *Collector) Limits() destination.Limits {
	events, bytes := maxEvents, maxBytes
	if c.config.IndexerAck == AckRequire || c.config.IndexerAck == AckAuto && c.acking.Load() {
		events, bytes = maxAckEvents, maxAckBytes
	}
	frames := events * c.frame.overhead()
	payload := max(bytes-frames, bytes/2)
	// Two requests that follow each other would not fit into one.
	requests := 2*(payload+frames)/maxBytes + 1
	timeout := time.Duration(requests+1) * RequestTimeout
	if c.config.IndexerAck != AckOff {
		timeout += c.pace.limit + RequestTimeout
	}
	return destination.Limits{Events: events, Bytes: payload, Timeout: timeout}
}

// lane returns what is kept for a partition.
func (c *Collector) lane(partition string) *lane {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.lanes[partition]
	if l == nil {
		l = newLane(c.config.IndexerAck)
		c.lanes[partition] = l
	}
	return l
}

// Send delivers the batch. It cuts it into requests and posts them in order, up
// to the first that is not accepted; then it waits for the acknowledgements of
// those that were, when there are any to wait for.
//
// A refusal that names an event rejects that one. The events before it are
// delivered when the collector is Splunk's own, which indexes them, and no
// acknowledgement is awaited; other receivers store nothing of a refused request,
// so that they are sent again. When a request of more than one event is refused
// without a usable number and nothing else of the batch was decided, the result
// has no outcome by event: the batch is to be split.
func (c *Collector) Send(ctx context.Context, b *destination.Batch) destination.Result {
	if len(b.Events) == 0 {
		return destination.Result{}
	}
	s := &sending{c: c, l: c.lane(b.Partition), events: b.Events, outcomes: make([]destination.Outcome, len(b.Events))}
	s.run(ctx)
	return s.result()
}

// Format shows where the collector is, and nothing of its token.
func (c *Collector) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "splunk "+c.events.Host) }

// Close implements [destination.Destination]. It is called once.
func (c *Collector) Close() error {
	c.wire.release()
	return nil
}

func (c *Collector) token() string { return strings.TrimPrefix(c.header.Get("Authorization"), scheme) }

func (c *Collector) now() time.Time {
	if c.env.Now == nil {
		return time.Now()
	}
	return c.env.Now()
}
