package rest

import "net/http"

// Routes lists what the tables serve as "GET /path".
func (a *API) Routes() []string {
	var out []string
	for path, m := range a.routes() {
		for method := range m {
			out = append(out, method+" "+path)
		}
	}
	for path := range a.openRoutes() {
		out = append(out, http.MethodGet+" "+path)
	}
	return out
}

// OpenAPI returns the document.
func OpenAPI() []byte { return document }
