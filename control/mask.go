package control

import (
	"encoding/json"
	"net/url"
)

// masked stands for what is not shown.
const masked = "***"

// maskConfig returns a configuration fit for those who may read of a stream and
// not configure it, and for events: without header values, and without what
// addresses carry besides host and path, which is often a credential.
func maskConfig(config json.RawMessage) any {
	var members map[string]any
	if json.Unmarshal(config, &members) != nil {
		return nil // a stream that is being deleted has none
	}
	for name, value := range members {
		members[name] = maskValue(value)
	}
	headers, _ := members["headers"].([]any)
	for _, h := range headers {
		if header, ok := h.(map[string]any); ok && header["value"] != nil {
			header["value"] = masked
		}
	}
	return members
}

// maskValue masks the user and the query of an address; other values stay.
func maskValue(v any) any {
	text, ok := v.(string)
	if !ok {
		return v
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User == nil && u.RawQuery == "" && u.Fragment == "" {
		return v
	}
	// url.Values and userinfo escape the mask; it is put together by hand.
	out := u.Scheme + "://"
	if u.User != nil {
		out += masked + "@"
	}
	out += u.Host + u.EscapedPath()
	if u.RawQuery != "" {
		out += "?" + masked
	}
	if u.Fragment != "" {
		out += "#" + masked
	}
	return out
}
