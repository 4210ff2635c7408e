package github

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/secret"
)

const maxBody = 256 << 10 // bytes of a request

// streamKey answers with the key that clients seal secrets with.
func (a *API) streamKey(c *call) error {
	enterprise, err := a.enterprise(c)
	if err != nil {
		return err
	}
	k, err := a.service.BoxKey(c.Context(), c.by, enterprise)
	if err != nil {
		return err
	}
	writeJSON(c.w, http.StatusOK, map[string]any{"key_id": k.ID, "key": k.Key[:]})
	return nil
}

// stream is a stream in GitHub's form.
type stream struct {
	ID        sluice.StreamID `json:"id"`
	Type      string          `json:"stream_type"`
	Details   string          `json:"stream_details"`
	Enabled   bool            `json:"enabled"`
	CreatedAt time.Time       `json:"created_at"`
	UpdatedAt time.Time       `json:"updated_at"`
	PausedAt  *time.Time      `json:"paused_at"`
}

func presentStream(s *control.Stream) stream {
	out := stream{ID: s.ID, Type: typeOf(s), Details: detailsOf(s), Enabled: s.Active,
		CreatedAt: s.CreatedAt.UTC().Truncate(time.Second), UpdatedAt: s.UpdatedAt.UTC().Truncate(time.Second)}
	if s.PausedAt != nil {
		paused := s.PausedAt.UTC().Truncate(time.Second)
		out.PausedAt = &paused
	}
	return out
}

// fields are those of all kinds' configurations that are shown or told apart by.
type fields struct {
	Domain, Path, Bucket, Name, URL string
	Port                            int
	ProjectID                       string `json:"project_id"`
}

func fieldsOf(s *control.Stream) (f fields) {
	_ = json.Unmarshal(s.Config, &f) // it is what the kind has written
	return f
}

// splunkPath is the path of a Splunk stream; other collectors have their own.
const splunkPath = "/services/collector/event"

func typeOf(s *control.Stream) string {
	switch s.Kind {
	case "splunk":
		if path := fieldsOf(s).Path; path != "" && path != splunkPath {
			return typeCollector
		}
		return typeSplunk
	case "eventhubs":
		return typeHubs
	case "s3":
		return typeS3
	case "cloudlogging":
		return "Google Cloud Logging"
	case "http":
		return "HTTP endpoint"
	}
	return s.Kind
}

// detailsOf says where a stream goes, without anything secret: of an address its
// host alone.
func detailsOf(s *control.Stream) string {
	f := fieldsOf(s)
	switch {
	case f.Domain != "":
		return f.Domain + ":" + strconv.Itoa(f.Port)
	case f.Bucket != "":
		return f.Bucket
	case f.ProjectID != "":
		return f.ProjectID
	case f.URL != "":
		_, rest, _ := strings.Cut(f.URL, "://")
		return rest[:strings.IndexAny(rest+"/", "/?#")]
	case f.Name != "":
		return f.Name
	}
	return s.Name
}

func (a *API) listStreams(c *call) error {
	enterprise, err := a.enterprise(c)
	if err != nil {
		return err
	}
	list, err := a.service.Streams(c.Context(), c.by, &enterprise)
	if err != nil {
		return err
	}
	out := make([]stream, len(list))
	for i := range list {
		out[i] = presentStream(&list[i])
	}
	writeJSON(c.w, http.StatusOK, out)
	return nil
}

// find returns the stream that the path names, if it is the enterprise's.
func (a *API) find(c *call) (control.Stream, string, error) {
	enterprise, err := a.enterprise(c)
	if err != nil {
		return control.Stream{}, "", err
	}
	id, err := strconv.ParseInt(c.PathValue("stream"), 10, 64)
	if err != nil {
		return control.Stream{}, "", errNotFound
	}
	s, err := a.service.Stream(c.Context(), c.by, sluice.StreamID(id))
	if err == nil && sluice.FoldNamespace(s.Namespace) != sluice.FoldNamespace(enterprise) {
		err = errNotFound
	}
	return s, enterprise, err
}

func (a *API) getStream(c *call) error {
	s, _, err := a.find(c)
	if err != nil {
		return err
	}
	writeJSON(c.w, http.StatusOK, presentStream(&s))
	return nil
}

func (a *API) createStream(c *call) error {
	enterprise, err := a.enterprise(c)
	if err == nil {
		err = control.ChangesStreams(c.by, enterprise)
	}
	if err != nil {
		return err
	}
	t, err := a.readTarget(c, enterprise)
	if err != nil {
		return err
	}
	s, err := a.service.CreateStream(c.Context(), c.by, control.StreamSpec{
		Namespace: enterprise, Kind: t.kind, Config: t.config, Secrets: t.secrets, Active: &t.enabled})
	if err != nil {
		return err
	}
	writeJSON(c.w, http.StatusOK, presentStream(&s))
	return nil
}

func (a *API) updateStream(c *call) error {
	before, enterprise, err := a.find(c)
	if err == nil {
		err = control.ChangesStreams(c.by, enterprise)
	}
	if err != nil {
		return err
	}
	t, err := a.readTarget(c, enterprise)
	if err != nil {
		return err
	}
	if t.kind != before.Kind {
		return invalid(fmt.Sprintf("stream_type cannot be changed: the stream goes to %s", typeOf(&before)))
	}
	s, err := a.service.UpdateStream(c.Context(), c.by, before.ID, control.StreamPatch{Config: t.config, Secrets: t.secrets, Active: &t.enabled})
	if err != nil {
		return err
	}
	writeJSON(c.w, http.StatusOK, presentStream(&s))
	return nil
}

func (a *API) deleteStream(c *call) error {
	s, _, err := a.find(c)
	if err != nil {
		return err
	}
	if _, err := a.service.DeleteStream(c.Context(), c.by, s.ID); err != nil {
		return err
	}
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

// Types of streams that GitHub has and that there are destinations for.
const (
	typeHubs      = "Azure Event Hubs"
	typeS3        = "Amazon S3"
	typeSplunk    = "Splunk"
	typeCollector = "HTTPS Event Collector"
)

// target is what a request says of a stream.
type target struct {
	kind    string
	enabled bool
	config  json.RawMessage
	secrets map[string]secret.Text
}

// request is the body of a creation or change.
type request struct {
	Enabled *bool           `json:"enabled"`
	Type    string          `json:"stream_type"`
	Vendor  json.RawMessage `json:"vendor_specific"`
}

// vendor has the fields of all types.
type vendor struct {
	KeyID          string `json:"key_id"`
	Domain         string `json:"domain"`
	Port           int    `json:"port"`
	SSLVerify      *bool  `json:"ssl_verify"`
	Path           string `json:"path"`
	Name           string `json:"name"`
	Bucket         string `json:"bucket"`
	Region         string `json:"region"`
	Authentication string `json:"authentication_type"`
	Token          string `json:"encrypted_token"`
	Connstring     string `json:"encrypted_connstring"`
	SecretKey      string `json:"encrypted_secret_key"`
	AccessKeyID    string `json:"encrypted_access_key_id"`
}

func invalid(texts ...string) error {
	return &problem{http.StatusUnprocessableEntity, "Validation Failed", texts}
}

// readTarget reads a request and opens its boxes.
func (a *API) readTarget(c *call, enterprise string) (target, error) {
	var in request
	var v vendor
	body, err := io.ReadAll(http.MaxBytesReader(c.w, c.Body, maxBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return target{}, &problem{status: http.StatusRequestEntityTooLarge, text: "Request too large"}
	}
	if err != nil || json.Unmarshal(body, &in) != nil {
		return target{}, &problem{status: http.StatusBadRequest, text: "Problems parsing JSON"}
	}
	if in.Enabled == nil || in.Type == "" || len(in.Vendor) == 0 {
		return target{}, invalid("enabled, stream_type and vendor_specific are required")
	}
	if err := json.Unmarshal(in.Vendor, &v); err != nil {
		return target{}, invalid("vendor_specific does not have the fields of " + in.Type)
	}
	t := target{enabled: *in.Enabled, secrets: map[string]secret.Text{}}
	return t, a.fill(c, enterprise, &in, &v, &t)
}

// fill sets kind, configuration and secrets by the type.
func (a *API) fill(c *call, enterprise string, in *request, v *vendor, t *target) error {
	open := func(field, box string) (secret.Text, error) {
		return a.service.OpenBox(c.Context(), c.by, enterprise, "vendor_specific."+field, v.KeyID, box)
	}
	var config map[string]any
	var err error
	switch in.Type {
	case typeSplunk, typeCollector:
		t.kind = "splunk"
		config = map[string]any{"domain": v.Domain, "port": v.Port, "ssl_verify": v.SSLVerify == nil || *v.SSLVerify}
		switch {
		case in.Type == typeSplunk:
			config["path"] = splunkPath // a collector can become one
		case v.Path != "":
			config["path"] = v.Path
		}
		t.secrets["token"], err = open("encrypted_token", v.Token)
	case typeHubs:
		t.kind, config = "eventhubs", map[string]any{"name": v.Name}
		t.secrets["connection_string"], err = open("encrypted_connstring", v.Connstring)
	case typeS3:
		if v.Authentication != "" && v.Authentication != "access_keys" {
			return invalid("authentication_type: only access_keys are supported; OpenID Connect needs GitHub itself as the issuer")
		}
		var id secret.Text
		if id, err = open("encrypted_access_key_id", v.AccessKeyID); err == nil {
			t.kind, config = "s3", map[string]any{"bucket": v.Bucket, "region": v.Region, "access_key_id": id.Reveal()}
			t.secrets["secret_access_key"], err = open("encrypted_secret_key", v.SecretKey)
		}
	default:
		return invalid(unsupported(in.Type))
	}
	if err == nil {
		t.config, err = json.Marshal(config)
	}
	return err
}

// unsupported says what a type that is not there could be instead.
func unsupported(name string) string {
	known := []string{typeSplunk, typeCollector, typeHubs, typeS3}
	text := fmt.Sprintf("stream_type %q has no destination here; there are %s", name, strings.Join(known, ", "))
	if slices.Contains([]string{"Azure Blob Storage", "Google Cloud Storage"}, name) {
		return text + "; an HTTP endpoint can be made with the native API"
	}
	return text
}
