package control

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/failpoint"
	"github.com/sluicelog/sluice/secret"
	"github.com/sluicelog/sluice/store"
)

// Limits of a token's text.
const (
	minTokenText = 16
	maxTokenText = 255
	tokenPrefix  = "slc_"
	// maxTokenRate is the highest limit, in events a second.
	maxTokenRate = 100_000_000
)

const tokenRecords = "token/"

// digest is the SHA-256 of a token's text: the text itself is stored nowhere.
type digest [sha256.Size]byte

func digestOf(text string) digest { return sha256.Sum256([]byte(text)) }

func (d digest) String() string { return hex.EncodeToString(d[:]) }

// tokenRecord is the durable state of a token.
type tokenRecord struct {
	ID        string    `json:"id"`
	Number    int64     `json:"number"`
	Kind      string    `json:"kind"`
	Namespace string    `json:"namespace"` // as declared
	Name      string    `json:"name"`
	Hash      string    `json:"hash"`
	Rate      int       `json:"rate_limit"`       // events a second, 0 for none
	Preset    bool      `json:"preset,omitempty"` // chosen by the operator's environment
	Created   time.Time `json:"created_at"`
	Revoked   time.Time `json:"revoked_at,omitzero"`
	Used      time.Time `json:"last_used_at,omitzero"` // up to an hour too early
	// Of a personal access token:
	Owner   string    `json:"owner,omitempty"`  // id of the user
	Scopes  []string  `json:"scopes,omitempty"` // what is left of the user's rights
	Expires time.Time `json:"expires_at,omitzero"`
	outbox
}

func (r *tokenRecord) gone() bool { return !r.Revoked.IsZero() }

func tokenKey(id string) string { return tokenRecords + id }

// Authenticate returns whose token this is, or an error with code Unauthorized.
func (s *Service) Authenticate(ctx context.Context, text string) (Principal, error) {
	t, err := s.authenticate(text)
	if err != nil {
		return Principal{}, err
	}
	if t.record.Kind == KindPersonal {
		return s.personal(t)
	}
	s.noteUse(t, s.now())
	return t.principal, nil
}

// authenticate finds a token by the digest of its text: how long that takes says
// nothing about the texts of other tokens.
func (s *Service) authenticate(text string) (*token, error) {
	if text == "" {
		return nil, sluice.Errorf(sluice.Unauthorized, "a token is required").WithHint("send the header Authorization: Bearer TOKEN")
	}
	d := digestOf(text)
	s.tokens.mu.RLock()
	t := s.tokens.byHash[d]
	s.tokens.mu.RUnlock()
	if t == nil {
		return nil, errInvalidToken()
	}
	return t, nil
}

func errInvalidToken() *sluice.Error {
	return sluice.Errorf(sluice.Unauthorized, "the token is not valid").
		WithHint("it may have expired or been revoked, or been cut when it was copied")
}

// TokenSpec describes a token to be made.
type TokenSpec struct {
	Kind string `json:"kind"` // KindProducer by default, KindAdmin or KindPersonal
	// Namespace is the top-level namespace that a producer is bound to, "" for
	// the instance. An unknown one is declared.
	Namespace string `json:"namespace"`
	Name      string `json:"name"`       // to recognise it by; optional
	RateLimit int    `json:"rate_limit"` // events a second; 0 for [Config.RateLimit]
	// Token is the text itself, 16 to 255 visible ASCII characters, for
	// producers that choose their own; "" to have one made.
	Token secret.Text `json:"token"`
	// Of a personal access token: whose it is, by id or name, the caller's by
	// default; what it leaves of the user's rights; when it ends, never by default.
	User      string     `json:"user"`
	Scopes    []string   `json:"scopes"`
	ExpiresAt *time.Time `json:"expires_at"`
}

// Token is a token as administrators see it.
type Token struct {
	ID        string    `json:"id"`
	Kind      string    `json:"kind"`
	Namespace string    `json:"namespace"`
	Name      string    `json:"name"`
	RateLimit int       `json:"rate_limit"`
	CreatedAt time.Time `json:"created_at"`
	// LastUsedAt is nil for a token that was never used.
	LastUsedAt *time.Time `json:"last_used_at,omitempty"`
	// Of a personal access token:
	User      string     `json:"user,omitempty"` // id
	Scopes    []string   `json:"scopes,omitempty"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
	Expired   bool       `json:"expired,omitempty"`
	// Text is the token itself; only the answer to its creation has it.
	Text string `json:"token,omitempty"`
}

func (t *tokenRecord) view() Token {
	return Token{
		ID: t.ID, Kind: t.Kind, Namespace: t.Namespace, Name: t.Name, RateLimit: t.Rate, CreatedAt: t.Created,
		User: t.Owner, Scopes: t.Scopes, ExpiresAt: timeOrNil(t.Expires), LastUsedAt: timeOrNil(t.Used),
	}
}

// CreateToken makes a token. The answer alone holds its text.
func (s *Service) CreateToken(ctx context.Context, p Principal, spec TokenSpec) (Token, error) {
	if spec.Kind == KindPersonal {
		return s.createPersonal(ctx, p, spec)
	}
	if err := authorize(p, actionManageTokens, sluice.FoldNamespace(spec.Namespace)); err != nil {
		return Token{}, err
	}
	if spec.Kind == "" {
		spec.Kind = KindProducer
	}
	if err := spec.check(); err != nil {
		return Token{}, err
	}
	if err := s.roomForToken(sluice.FoldNamespace(spec.Namespace)); err != nil {
		return Token{}, err
	}
	ns, err := s.ensureTopLevel(ctx, p, spec.Namespace)
	if err != nil {
		return Token{}, err
	}
	spec.Namespace = ns
	return s.makeToken(ctx, p, spec, false)
}

// roomForToken refuses a further token of a top-level namespace that has too many:
// each is in memory, and its owners, who make them, do not own that.
func (s *Service) roomForToken(namespace string) error {
	if namespace == sluice.Instance {
		return nil
	}
	if s.tokens.count(func(t *token) bool { return t.producer != nil && t.principal.Namespace == namespace }) < s.cfg.TokenLimit {
		return nil
	}
	return sluice.Errorf(sluice.Conflict, "the namespace has %d tokens of producers, which is the limit", s.cfg.TokenLimit).
		WithHint("revoke those that are not used any more, or use one for several producers")
}

func (spec *TokenSpec) check() error {
	switch {
	case spec.Kind != KindAdmin && spec.Kind != KindProducer:
		return sluice.Errorf(sluice.Invalid, "kind must be %q, %q or %q", KindProducer, KindAdmin, KindPersonal)
	case spec.User != "" || len(spec.Scopes) > 0 || spec.ExpiresAt != nil:
		return sluice.Errorf(sluice.Invalid, "user, scopes and expires_at are for kind %q", KindPersonal)
	case spec.Kind == KindAdmin && spec.Namespace != sluice.Instance:
		return sluice.Errorf(sluice.Invalid, "an administrator's token is not bound to a namespace").WithHint("leave namespace out")
	case spec.Kind == KindAdmin && spec.Token != "":
		return sluice.Errorf(sluice.Invalid, "an administrator's token cannot be chosen").
			WithHint("leave token out, or preset one with SLUICE_ADMIN_TOKEN")
	case spec.RateLimit < 0 || spec.RateLimit > maxTokenRate:
		return sluice.Errorf(sluice.Invalid, "rate_limit must be 0 to %d events a second", maxTokenRate).WithHint("0 is the server's own, which has none unless its operator sets it")
	}
	if err := checkTopLevel(spec.Namespace); err != nil {
		return err
	}
	if err := checkName("name", spec.Name, maxNameLength); err != nil {
		return err
	}
	if spec.Token == "" {
		return nil
	}
	return checkTokenText("token", spec.Token.Reveal())
}

func checkTokenText(field, text string) error {
	if len(text) < minTokenText || len(text) > maxTokenText {
		return sluice.Errorf(sluice.Invalid, "%s must have %d to %d characters", field, minTokenText, maxTokenText).
			WithHint("leave it out to have one made")
	}
	for _, c := range []byte(text) {
		if c <= ' ' || c > '~' {
			return sluice.Errorf(sluice.Invalid, "%s must consist of visible ASCII characters", field).
				WithHint("spaces and line breaks often come along when a token is pasted")
		}
	}
	return nil
}

// checkName reports what is wrong with the name of a thing.
func checkName(field, name string, longest int) error {
	if !utf8.ValidString(name) || utf8.RuneCountInString(name) > longest {
		return sluice.Errorf(sluice.Invalid, "%s must have at most %d characters", field, longest)
	}
	turns := func(c rune) bool { return unicode.Is(unicode.Bidi_Control, c) } // what others see next to it
	if hasControl(name) || strings.ContainsFunc(name, turns) {
		return sluice.Errorf(sluice.Invalid, "%s must be one line of text, without control characters", field)
	}
	if name != "" && !strings.ContainsFunc(name, isVisible) {
		return sluice.Errorf(sluice.Invalid, "%s is empty: it has no character that can be seen", field).WithHint("enter letters or digits")
	}
	return nil
}

// isVisible reports whether a character shows something by itself. Spaces, marks
// and what is only there for the layout do not, nor do the letters and the symbol
// that are blank.
func isVisible(c rune) bool {
	const brailleBlank = '\u2800'
	return unicode.In(c, unicode.L, unicode.N, unicode.P, unicode.S) && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, c) && c != brailleBlank
}

// makeToken stores a checked token; its namespace exists.
func (s *Service) makeToken(ctx context.Context, p Principal, spec TokenSpec, preset bool) (Token, error) {
	text := spec.Token.Reveal()
	if text == "" {
		text = newTokenText()
	}
	d := digestOf(text)
	number, err := store.NextID(ctx, s.store, "token")
	if err != nil {
		return Token{}, storeError("number a token", err)
	}
	rec := tokenRecord{
		ID: "t" + strconv.FormatInt(number, 10), Number: number, Kind: spec.Kind, Namespace: spec.Namespace, Name: spec.Name,
		Hash: d.String(), Rate: spec.RateLimit, Preset: preset, Created: s.now().UTC(),
		Owner: spec.User, Scopes: spec.Scopes,
	}
	if spec.ExpiresAt != nil {
		rec.Expires = spec.ExpiresAt.UTC()
	}
	if rec.Name == "" {
		rec.Name = "token " + rec.ID
	}
	timeout := claimTimeout
	if preset {
		timeout = 0 // a start that ended after this claim is over: the next one need not wait
	}
	if err := s.claimFrom(ctx, ruleToken, rec.Hash, tokenKey(rec.ID), timeout); err != nil {
		if errors.Is(err, store.ErrTaken) {
			return Token{}, sluice.Errorf(sluice.Conflict, "a token with this text exists").WithHint("choose another text, or leave it out to have one made")
		}
		return Token{}, storeError("claim a token", err)
	}
	failpoint.Here(failpoint.TokenClaimed)
	rec.add(s.compose(p, act{
		Type: "token.create", Namespace: rec.Namespace, TargetType: "Token", TargetID: rec.ID, Target: rec.Name,
		Message: "Created a token", Fields: rec.fields(),
	}))
	if err := s.create(ctx, tokenKey(rec.ID), &rec); err != nil {
		if errors.Is(err, errNotCreated) {
			s.release(ctx, ruleToken, rec.Hash, tokenKey(rec.ID))
		} else {
			rereadNew(ctx, s, tokenKey(rec.ID), func(_ context.Context, rec *tokenRecord) error { return s.admitToken(*rec) })
		}
		return Token{}, storeError("store a token", err)
	}
	failpoint.Here(failpoint.TokenCreated)
	if err := s.admitToken(rec); err != nil {
		return Token{}, err
	}
	s.outboxes.wake(tokenKey(rec.ID))
	out := rec.view()
	out.Text = text
	return out, nil
}

// newTokenText returns a random token: 256 bits behind a prefix that secret
// scanners can look for.
func newTokenText() string {
	b := make([]byte, 32)
	rand.Read(b) // never fails, see its documentation
	return tokenPrefix + base64.RawURLEncoding.EncodeToString(b)
}

func (s *Service) admins() int {
	return s.tokens.count(func(t *token) bool { return t.record.Kind == KindAdmin })
}

func (s *Service) revoke(ctx context.Context, p Principal, id string) error {
	_, err := store.Update(ctx, s.store, tokenKey(id), func(rec *tokenRecord, found bool) error {
		if !found || rec.gone() {
			return errNotFound()
		}
		rec.Revoked = s.now().UTC()
		rec.add(s.compose(p, act{
			Type: "token.revoke", Namespace: rec.Namespace, TargetType: "Token", TargetID: rec.ID, Target: rec.Name,
			Message: "Revoked a token", Fields: rec.fields(),
		}))
		return rec.room()
	})
	if err != nil && !s.revoked(ctx, id) {
		if _, told := errors.AsType[*sluice.Error](err); !told {
			s.rereadToken(ctx, id)
		}
		return storeError("revoke a token", err)
	}
	failpoint.Here(failpoint.TokenRevoked)
	s.tokens.remove(id)
	s.outboxes.wake(tokenKey(id))
	return nil
}

// revoked looks whether a token is good no more in the store, whose answer to a
// change left that open, now or at an earlier try.
func (s *Service) revoked(ctx context.Context, id string) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookupTimeout)
	defer cancel()
	rec, _, err := store.Load[tokenRecord](ctx, s.store, tokenKey(id))
	return errors.Is(err, store.ErrNotFound) || err == nil && rec.gone()
}

// EnsureAdmin makes sure that there is an administrator. With a preset it is
// that token, and one that an earlier preset named is revoked. Without one, and
// when there is no administrator yet, a token is made and returned: it is to be
// shown once.
func (s *Service) EnsureAdmin(ctx context.Context, preset secret.Text) (made string, err error) {
	spec := TokenSpec{Kind: KindAdmin, Name: "administrator", Token: preset}
	if preset == "" {
		if s.admins() > 0 {
			return "", nil
		}
		t, err := s.makeToken(ctx, sluiceItself(), spec, false)
		return t.Text, err
	}
	if err := checkTokenText("the administrator's token", preset.Reveal()); err != nil {
		return "", err
	}
	want := digestOf(preset.Reveal()).String()
	present := false
	for _, t := range s.tokens.list(func(t *token) bool { return t.record.Hash == want }) {
		if present = true; t.record.Kind != KindAdmin {
			return "", sluice.Errorf(sluice.Invalid, "the administrator's token is the text of a producer's token").WithHint("choose another one")
		}
	}
	if !present {
		if _, err := s.makeToken(ctx, sluiceItself(), spec, true); err != nil {
			return "", err
		}
	}
	for _, t := range s.tokens.list(func(t *token) bool { return t.record.Preset && t.record.Hash != want }) {
		if err := s.revoke(ctx, sluiceItself(), t.record.ID); err != nil {
			return "", err
		}
	}
	return "", nil
}
