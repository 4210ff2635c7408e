package destination

import (
	"context"
	"io"
	"net/http"
	"time"
)

// ReadAnswer reads the body of an answer and closes it: at most limit bytes, and
// for no longer than wait, after which it calls cancel, which has to end the
// request's context. What came until then is returned; whole reports that the
// body has ended and nothing of it is missing. The connection of an answer that
// was read whole can be used again.
//
// Of a receiver that switches protocols (101) nothing is read. Its connection no
// longer belongs to the transport, so that no context would end the reading.
func ReadAnswer(resp *http.Response, limit int64, wait time.Duration, cancel context.CancelFunc) (body []byte, whole bool) {
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusSwitchingProtocols:
		return nil, false
	case resp.ContentLength == 0:
		return nil, true
	}
	timer := time.AfterFunc(wait, cancel)
	defer timer.Stop()
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if int64(len(body)) > limit {
		return body[:limit], false
	}
	return body, err == nil
}
