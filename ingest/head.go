package ingest

import (
	"net/http"
	"strings"

	"github.com/sluicelog/sluice"
)

// head is what a request says before its body.
type head struct {
	producer *Producer
	encoding encoding
	length   int    // as announced, -1 when it is not
	key      string // Idempotency-Key, "" without
}

// encoding is how a body is packed.
type encoding uint8

const (
	identity encoding = iota
	packedGzip
	packedZstd
)

// Limits of what a head may hold, in bytes.
const (
	maxToken = 512
	maxKey   = 255
)

// head judges what can be judged before the body is read.
func (h *Handler) head(r *http.Request) (hd head, err error) {
	if r.Method != http.MethodPost {
		return hd, &refusal{
			status: http.StatusMethodNotAllowed, code: "method_not_allowed",
			message: "the method is not for this path", hint: "use " + h.opts.Allow,
		}
	}
	token, err := tokenOf(r.Header)
	if err != nil {
		return hd, err
	}
	if hd.producer, err = h.door.Producer(r.Context(), token); err != nil {
		return hd, err
	}
	if hd.encoding, err = encodingOf(r.Header["Content-Encoding"]); err != nil {
		return hd, err
	}
	if hd.key, err = keyOf(r.Header["Idempotency-Key"]); err != nil {
		return hd, err
	}
	if r.ContentLength > int64(h.opts.MaxRequest) {
		return hd, h.tooLarge()
	}
	hd.length = int(r.ContentLength)
	return hd, nil
}

// tokenOf returns the producer's token: of Authorization, or else of the header
// in which GitLab sends the verification token of a destination.
func tokenOf(header http.Header) (string, error) {
	values := header["Authorization"]
	if len(values) == 0 {
		if values = header["X-Gitlab-Event-Streaming-Token"]; len(values) == 1 && validToken(values[0]) {
			return values[0], nil
		}
		return "", unauthorized("the request has no token")
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	token = strings.TrimLeft(token, " ")
	if len(values) > 1 || !strings.EqualFold(scheme, "Bearer") || !validToken(token) {
		return "", unauthorized("the Authorization header holds no token")
	}
	return token, nil
}

func validToken(s string) bool { return s != "" && len(s) <= maxToken }

func unauthorized(message string) error {
	return sluice.Errorf(sluice.Unauthorized, "%s", message).
		WithHint("send a producer's token as in `Authorization: Bearer TOKEN`")
}

// encodingOf reads Content-Encoding.
func encodingOf(values []string) (encoding, error) {
	if len(values) == 0 {
		return identity, nil
	}
	if len(values) == 1 {
		switch strings.ToLower(strings.TrimSpace(values[0])) {
		case "", "identity":
			return identity, nil
		case "gzip", "x-gzip":
			return packedGzip, nil
		case "zstd":
			return packedZstd, nil
		}
	}
	return identity, &refusal{
		status: http.StatusUnsupportedMediaType, code: "unsupported_encoding",
		message: "the body's Content-Encoding is not supported",
		hint:    "send the body as it is, or packed once by gzip or zstd",
	}
}

// keyOf reads Idempotency-Key.
func keyOf(values []string) (string, error) {
	if len(values) == 0 {
		return "", nil
	}
	key := values[0]
	good := len(values) == 1 && key != "" && len(key) <= maxKey
	for i := 0; good && i < len(key); i++ {
		good = key[i] >= ' ' && key[i] <= '~'
	}
	if !good {
		return "", &refusal{
			status: http.StatusBadRequest, code: "invalid_idempotency_key",
			message: "the Idempotency-Key cannot be used",
			hint:    "send one key of 1 to 255 printable ASCII characters, or none",
		}
	}
	return key, nil
}
