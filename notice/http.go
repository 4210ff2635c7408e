package notice

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/destination"
)

const (
	sendTimeout = 15 * time.Second
	maxURL      = 2048 // bytes
	maxAnswer   = 4 << 10
	// answerTimeout is how long the words of an answer are waited for.
	answerTimeout = 5 * time.Second
)

// Web sends notices as POST requests with a JSON body: the members of [Notice],
// and "text", which chat systems show. Any status of 2xx means that the notice
// was taken; redirects are failures. Sockets come from the guarded dialer.
type Web struct {
	client    *http.Client
	dialer    *destination.Dialer
	userAgent string
	insecure  bool
}

var _ Sender = (*Web)(nil)

// NewWeb returns a Web. Plain http is refused unless insecure is set.
func NewWeb(env destination.Env, insecure bool) *Web {
	return &Web{client: destination.NewClient(destination.NewTransport(env, destination.TLSOptions{})), dialer: env.Dialer,
		userAgent: env.UserAgent, insecure: insecure}
}

// Check implements [Sender].
func (w *Web) Check(ctx context.Context, address string) error {
	wrong := func(rule, hint string) error {
		e := sluice.Errorf(sluice.Invalid, "the address of a notice %s", rule)
		return e.WithHint("%s", hint)
	}
	u, err := url.Parse(address)
	switch {
	case len(address) > maxURL:
		return wrong(fmt.Sprintf("has more than %d bytes", maxURL), "shorten it")
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return wrong("is not a URL", "for example https://chat.example.com/hooks/4711")
	case u.Scheme == "http" && !w.insecure:
		return wrong("is not encrypted", "use https")
	case u.User != nil:
		return wrong("holds a user name or password", "put what authenticates into the path or the query")
	case u.Fragment != "":
		return wrong("has a fragment (#...)", "leave out the part from # on")
	}
	if e, ok := errors.AsType[*sluice.Error](w.dialer.CheckHost(ctx, u.Hostname())); ok {
		return e
	}
	return nil // a name that cannot be looked up now may be set up later
}

// Send implements [Sender].
func (w *Web) Send(ctx context.Context, address string, n Notice) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	body, err := json.Marshal(struct {
		Notice
		Text string `json:"text"`
	}{n, n.Text()})
	if err != nil {
		return fmt.Errorf("write notice: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return errors.New("the address is not a URL")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", w.userAgent)
	req.Header.Set("X-Sluice-Notice", n.ID)
	resp, err := w.client.Do(req)
	if err != nil {
		return errors.New(destination.Classify(err).Message)
	}
	words, _ := destination.ReadAnswer(resp, maxAnswer, answerTimeout, cancel)
	if resp.StatusCode/100 == 2 {
		return nil
	}
	return fmt.Errorf("the address answered %d: %s", resp.StatusCode, redactor(req.URL).Words(words))
}

// redactor knows what of a URL may be a credential: every part of the path and
// every value of the query.
func redactor(u *url.URL) *destination.Redactor {
	parts := strings.Split(u.Path, "/")
	for _, values := range u.Query() {
		parts = append(parts, values...)
	}
	return destination.NewRedactor(append(parts, u.String(), u.RequestURI())...)
}
