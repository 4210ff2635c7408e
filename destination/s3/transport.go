package s3

import (
	"net/http"
	"time"

	"github.com/sluicelog/sluice/destination"
)

// newTransport returns a transport for objects. A server that refuses one by its
// header alone, because it is there already for example, is asked first, where it
// understands that: nothing of the content need be sent then.
func newTransport(env destination.Env) *http.Transport {
	t := destination.NewTransport(env, destination.TLSOptions{})
	t.ExpectContinueTimeout = time.Second
	t.MaxIdleConnsPerHost, t.IdleConnTimeout = 4, 10*time.Second // an object a minute does not need one kept
	return t
}
