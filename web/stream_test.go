package web_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/control"
	"github.com/sluicelog/sluice/control/controltest"
	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/secret"
)

// kindCase is what is entered for a kind.
type kindCase struct {
	kind, title string
	entered     []string
	secret      string // name of the field of its secret
	button      string
	changed     []string // what is entered later, and shown then
}

func kindCases() []kindCase {
	return []kindCase{
		{"splunk", "Splunk", []string{"config.domain", "http-inputs-mycompany.splunkcloud.com", "config.port", "8088", "secrets.token", "77d0c1e5-3f0e-4f0b-8c55-6f1f0a3be9d2"},
			"secrets.token", "Add a new token", []string{"config.index", "security"}},
		{"eventhubs", "Azure Event Hubs", []string{"config.name", "auditlog", "secrets.connection_string",
			"Endpoint=sb://acme.servicebus.windows.net/;SharedAccessKeyName=send;SharedAccessKey=c2VjcmV0LWtleS1vZi10aGUtaHVi"}, "secrets.connection_string",
			"Add a new connection string", []string{"config.name", "auditlog-2"}},
		{"s3", "Amazon S3", []string{"config.bucket", "auditlog-streaming-test", "config.access_key_id", "ABCAIOSFODNN7EXAMPLE1",
			"secrets.secret_access_key", "kVnQ7rT2mZx/9LwPa4Hc+E5uYd0JgSbF1oCiRqNs"}, "secrets.secret_access_key", "Add a new Secret Access Key", []string{"config.region", "eu-central-1"}},
		{"cloudlogging", "Google Cloud Logging", []string{"config.project_id", "my-project-123456", "config.client_email", "sluice@my-project-123456.iam.gserviceaccount.com",
			"secrets.private_key", privateKey(), "config.log_id", "audit/acme"}, "secrets.private_key", "Add a new private key", []string{"config.log_id", "audit/other"}},
		{"http", "HTTP endpoint", []string{"config.url", "https://siem.example.com/events", "secrets.signing_secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
			"secrets.signing_secret", "Add a new signing secret", []string{"config.url", "http://siem.example.com/other"}},
	}
}

// All fields that are missing or wrong are marked at once, and listed on top with
// links; the reader goes on at the first one.
func TestAllFaultsAreMarked(t *testing.T) {
	simulateStreams(t, func(t *testing.T, b *browser, _ *controltest.Kind) {
		at := tabPath + "/new?kind=s3"
		form := with(b.get(200, at).form(t, at), "config.object_seconds", "soon", "config.object_events", "0", "do", "save")
		p := b.post(422, at, form,
			`<li><a href="#new-config-access-key-id">Access key ID</a></li>`, `<li><a href="#new-secrets-secret-access-key">Secret access key</a></li>`,
			`<li><a href="#new-config-bucket">Bucket name</a></li>`, `<li><a href="#new-config-object-seconds">`,
			"Access key ID is required.", "Secret access key is required.", "Bucket name is required.", "Seconds until an object is complete must be a whole number.",
			"Events of an object must be 1 to ", `<details class="more" open>`)
		if got := strings.Count(p.html, " autofocus"); got != 1 {
			t.Errorf("got %d places to go on at, want one", got)
		}
		p = b.post(422, at, with(form, "config.access_key_id", "ABCAIOSFODNN7EXAMPLE1", "config.object_seconds", "60", "config.object_events", "7"))
		b.lacks(p, "Access key ID is required.", "whole number", `href="#new-config-object-events"`)
	})
}

// A field says what it means when it is empty: the value that is stored then.
func TestEmptyFields(t *testing.T) {
	simulateStreams(t, func(t *testing.T, b *browser, _ *controltest.Kind) {
		for kind, want := range map[string]string{"splunk": "8088", "cloudlogging": "audit_events", "s3": "Auto detect", "http": "16"} {
			b.get(200, tabPath+"/new?kind="+kind, ` placeholder="`+want+`"`)
		}
	})
}

// Streams of each kind are checked, made, changed, paused, resumed and deleted
// with forms alone.
func TestStreamOfEachKind(t *testing.T) {
	for _, c := range kindCases() {
		t.Run(c.kind, func(t *testing.T) {
			simulateStreams(t, func(t *testing.T, b *browser, sink *controltest.Kind) { b.streamOfKind(sink, c) })
		})
	}
}

func (b *browser) streamOfKind(sink *controltest.Kind, c kindCase) {
	t := b.t
	b.secrets = append(b.secrets, values(c.entered...).Get(c.secret))
	b.get(200, tabPath, "Streaming is off for acme", "Configure stream")
	at := tabPath + "/new?kind=" + c.kind
	b.get(200, tabPath+"/new", c.title, `href="`+at+`"><strong>`+c.title+`</strong></a><p class="hint">`)
	first := b.get(200, at, "This destination receives all audit event data of acme, which can include sensitive information. Make sure that you trust it.", "Check endpoint", "Save")
	form := with(first.form(t, at), append(c.entered, "name", "to "+c.kind)...)

	sink.Refuse(&destination.Error{Class: destination.Misconfigured, Message: "the door is closed"})
	failed := b.post(200, at, with(form, "do", "check"), "The check failed", "the door is closed", ">entered</span>", c.button)
	sink.Refuse(nil)
	passed := b.post(200, at, with(failed.form(t, at), "do", "check"), "The check passed", "Take a test event")
	saved := b.do("POST", at, with(passed.form(t, at), "do", "save"))
	b.follows(saved, tabPath+"/1?notice=stream_created")
	st := b.stream(1)
	if _, secrets := sink.Opened(); secrets[strings.TrimPrefix(c.secret, "secrets.")] == "" || st.Name != "to "+c.kind {
		t.Errorf("got the stream %q, and secrets %v", st.Name, secrets)
	}
	b.follows(b.do("POST", at, with(passed.form(t, at), "do", "save")), tabPath+"?notice=stream_repeated")

	one := tabPath + "/1"
	shown := b.get(200, one+"?notice=stream_created", "The stream is saved", "to "+c.kind, c.title, "Active", ">set</span>", c.button, "Pause stream", "Delete stream")
	changed := with(shown.form(t, one), append(c.changed, "do", "check")...)
	again := b.post(200, one, changed, "The check passed", c.changed[1])
	b.follows(b.do("POST", one, with(again.form(t, one), "do", "save")), one+"?notice=stream_saved")
	after := b.stream(1)
	if !strings.Contains(string(after.Config), c.changed[1]) || after.Version != st.Version+1 || after.Secrets[strings.TrimPrefix(c.secret, "secrets.")] != "set" {
		t.Errorf("got %+v after the change of %v", after, c.changed)
	}
	b.pauseAndDelete(one)
}

// pauseAndDelete pauses, resumes and deletes a stream, the last one of acme.
func (b *browser) pauseAndDelete(one string) {
	b.t.Helper()
	b.get(200, one+"/pause", "Nothing is sent until you resume it", `<button class="button primary" type="submit">Pause stream</button>`)
	b.follows(b.do("POST", one+"/pause", url.Values{}), tabPath+"?notice=stream_paused")
	b.get(200, tabPath+"?notice=stream_paused", "The stream is paused", "Paused since", "Resume stream")
	b.follows(b.do("POST", one+"/resume", url.Values{}), tabPath+"?notice=stream_resumed")
	if st := b.stream(1); !st.Active {
		b.t.Errorf("got %+v, want that it is resumed", st)
	}
	b.get(200, one+"/delete", "Delete stream", "since the stream began")
	b.follows(b.do("POST", one+"/delete", url.Values{}), tabPath+"?notice=stream_deleted")
	b.get(200, tabPath+"?notice=stream_deleted", "The stream is deleted", "Streaming is off for acme")
	for _, path := range []string{one, one + "/pause", one + "/delete"} {
		b.get(404, path)
		b.post(404, path, url.Values{})
	}
	b.post(404, one+"/resume", url.Values{})
}

func TestStreamHeaders(t *testing.T) {
	simulateStreams(t, func(t *testing.T, b *browser, _ *controltest.Kind) {
		b.secrets = append(b.secrets, "Bearer of-secrets", "another-value-x", "third-value-x")
		at := tabPath + "/new?kind=http"
		p := b.get(200, at)
		p = b.post(200, at, with(p.form(t, at), "config.url", "http://siem.example.com/", "header.n1.name", "Authorization", "header.n1.value", "Bearer of-secrets", "do", "add-header"),
			"http://siem.example.com/", "For better security use https with a valid certificate: events and the verification token travel unencrypted.", `value="Authorization"`, ">entered</span>")
		p = b.post(200, at, with(p.form(t, at), "header.n2.name", "X-Two", "header.n2.value", "another-value-x", "header.n2.active", "-", "do", "add-header"))
		p = b.post(200, at, with(p.form(t, at), "header.n3.name", "X-Three", "header.n3.value", "third-value-x", "do", "delete-header:n1"), "X-Two", "X-Three")
		b.lacks(p, "Authorization")
		b.follows(b.do("POST", at, with(p.form(t, at), "do", "save")), tabPath+"/1?notice=stream_created")
		b.wantHeaders(`[{"active":false,"name":"X-Two","value":"another-value-x"},{"active":true,"name":"X-Three","value":"third-value-x"}]`)

		one := tabPath + "/1"
		p = b.get(200, one, ">set</span>", "X-Two", "Verification token", b.stream(1).VerificationToken)
		stored := b.stream(1)
		first, second := fmt.Sprint("s", stored.HeaderNumbers[0]), fmt.Sprint("s", stored.HeaderNumbers[1])
		p = b.post(200, one, with(p.form(t, one), "do", "delete-header:"+first), "X-Three")
		if got := b.stream(1); got.Version != stored.Version {
			t.Errorf("got version %d, want that nothing is stored", got.Version)
		}
		b.follows(b.do("POST", one, with(p.form(t, one), "header."+second+".name", "X-Renamed", "do", "save")), one+"?notice=stream_saved")
		b.wantHeaders(`[{"active":true,"name":"X-Renamed","value":"third-value-x"}]`)

		p = b.get(200, one)
		second = fmt.Sprint("s", b.stream(1).HeaderNumbers[0])
		b.post(422, one, with(p.form(t, one), "header."+second+".name", "no name", "do", "save"), "Name has characters that header names cannot have.")
		p = b.post(200, one, with(p.form(t, one), "do", "add-header"))
		b.post(422, one, with(p.form(t, one), "header.n1.name", "X-New", "do", "save"), "Value is required.")
		b.lacks(b.post(200, one, with(p.form(t, one), "do", "delete-header:"+second)), "X-Renamed")
		b.wantHeaders(`[{"active":true,"name":"X-Renamed","value":"third-value-x"}]`)
	})
}

func (b *browser) wantHeaders(want string) {
	b.t.Helper()
	var c struct{ Headers json.RawMessage }
	if err := json.Unmarshal(b.stream(1).Config, &c); err != nil || string(c.Headers) != want {
		b.t.Errorf("got headers %s and error %v, want %s", c.Headers, err, want)
	}
}

func TestTooManyHeaders(t *testing.T) {
	simulateStreams(t, func(t *testing.T, b *browser, _ *controltest.Kind) {
		at := tabPath + "/new?kind=http"
		form := with(b.get(200, at).form(t, at), "config.url", "https://siem.example.com/", "header.n1.name", "X-1", "header.n1.value", "v")
		for i := 2; i <= 21; i++ {
			key := fmt.Sprint("n", i)
			form.Add("header", key)
			form.Set("header."+key+".name", fmt.Sprint("X-", i))
			form.Set("header."+key+".value", "v")
			if i == 20 {
				b.lacks(b.post(200, at, with(form, "do", "delete-header:n99"), "These are 20 headers, which is the most."), `value="add-header"`)
			}
		}
		b.post(422, at, with(form, "do", "save"), "Custom HTTP headers has more than 20 headers.", "X-21", "see what is marked below")
		b.get(200, tabPath, "Streaming is off")
	})
}

func TestStreamProblems(t *testing.T) {
	simulateStreams(t, func(t *testing.T, b *browser, _ *controltest.Kind) {
		for _, c := range []struct {
			kind    string
			entered []string
			want    string
		}{
			{"http", []string{"config.url", "ftp://x"}, "Destination URL must start with http:// or https://."},
			{"http", []string{"config.url", "https://x.example/", "config.concurrency", "many"}, "Requests at once must be a whole number."},
			{"http", []string{"config.url", "https://x.example/", "name", strings.Repeat("n", 73)}, "at most 72"},
			{"http", []string{"config.url", "https://x.example/", "types.others", "a.b", "excluded.others", "a.b"}, "both wanted and excluded"},
			{"http", []string{"config.url", "https://x.example/", "namespaces.others", "umbra/web"}, "Group or project &#34;umbra/web&#34; does not lie below"},
			{"splunk", []string{"config.domain", "https://x.example"}, "Domain must be a host name without https:// and without a path."},
			{"s3", nil, "Bucket name is required."},
			{"s3", []string{"config.bucket", "auditlog-streaming-test"}, "Access key ID is required."},
		} {
			at := tabPath + "/new?kind=" + c.kind
			b.post(422, at, with(b.get(200, at).form(t, at), append(c.entered, "do", "save")...), c.want, `class="field-problem"`)
		}
		at := tabPath + "/new?kind=s3"
		plain := b.post(422, at, with(b.get(200, at).form(t, at), "config.endpoint", "http://s3.example.com", "do", "save"), "use https with a valid certificate: events travel unencrypted.")
		b.lacks(plain, "verification token")
		b.httpStream(control.StreamSpec{Name: "taken"})
		at = tabPath + "/new?kind=http"
		b.post(422, at, with(b.get(200, at).form(t, at), "config.url", "https://x.example/", "name", "taken", "do", "save"), "Another stream here has the name &#34;taken&#34;.")
		b.get(404, tabPath+"/new?kind=nothing")
		b.post(404, tabPath+"/new", values("do", "save"))
	})
}

func TestStreamFilters(t *testing.T) {
	simulateStreams(t, func(t *testing.T, b *browser, _ *controltest.Kind) {
		b.Post("acme/web", "user.add", 3)
		b.Post("acme/web/api", "git.push", 5)
		time.Sleep(time.Minute) // until they are counted
		b.httpStream(control.StreamSpec{})
		one := tabPath + "/1"
		p := b.get(200, one, "Filter by audit event type", "Filter by groups or projects", "user.add <span class=\"count\">3</span>", "git.push <span class=\"count\">5</span>",
			"acme/web <span class=\"count\">8</span>", "acme/web/api <span class=\"count\">5</span>")
		b.follows(b.do("POST", one, with(p.form(t, one), "types", "git.push", "types.others", "repo.create\r\n  \r\nuser.add", "namespaces", "acme/web/api", "do", "save")), one+"?notice=stream_saved")
		if got := fmt.Sprint(b.stream(1).Filter); got != "{[git.push repo.create user.add] [] [acme/web/api]}" {
			t.Errorf("got the filter %s", got)
		}
		time.Sleep(time.Minute) // until the change is counted, too
		p = b.get(200, one, "filtered", "3 chosen", "1 chosen", "This destination receives all events that match, which can include")
		b.post(200, one, with(p.form(t, one), "do", "count"), "5 of 13 events of the last 7 days match.")
		b.post(422, one, with(p.form(t, one), "namespaces.others", "umbra", "do", "count"), "does not lie below")
		b.follows(b.do("POST", one, with(p.form(t, one), "types", "-", "namespaces", "-", "do", "save")), one+"?notice=stream_saved")
		if f := b.stream(1).Filter; !f.Empty() {
			t.Errorf("got the filter %v, want none", f)
		}
	})
}

// Whoever saves is told what somebody else changed meanwhile.
func TestStreamChangedMeanwhile(t *testing.T) {
	simulateStreams(t, func(t *testing.T, b *browser, _ *controltest.Kind) {
		b.httpStream(control.StreamSpec{Name: "one"})
		one := tabPath + "/1"
		form := b.get(200, one).form(t, one)
		other := "theirs"
		if _, err := b.Service.UpdateStream(t.Context(), b.Admin, 1, control.StreamPatch{Name: &other}); err != nil {
			t.Fatal(err)
		}
		p := b.post(409, one, with(form, "name", "mine", "do", "save"), "Somebody else changed the stream meanwhile, so nothing was saved.", "Stored now", "<td>theirs</td><td>mine</td>")
		b.post(409, one, with(form, "name", "mine", "do", "check"))
		if got := b.stream(1).Name; got != other {
			t.Errorf("got the name %q, want %q", got, other)
		}
		b.follows(b.do("POST", one, with(p.form(t, one), "do", "save")), one+"?notice=stream_saved")
		if got := b.stream(1).Name; got != "mine" {
			t.Errorf("got the name %q, want mine", got)
		}
	})
}

// A form that is sent twice is done once, and nobody is blamed for it.
func TestStreamSavedTwice(t *testing.T) {
	simulateStreams(t, func(t *testing.T, b *browser, _ *controltest.Kind) {
		b.secrets = append(b.secrets, "Bearer of-secrets", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
		b.httpStream(control.StreamSpec{Name: "one"})
		one := tabPath + "/1"
		p := b.post(200, one, with(b.get(200, one).form(t, one), "do", "add-header"))
		form := with(p.form(t, one), "header.n1.name", "Authorization", "header.n1.value", "Bearer of-secrets", "name", "two", "types.others", "user.add", "do", "save")
		for range 2 {
			b.follows(b.do("POST", one, form), one+"?notice=stream_saved")
		}
		if st := b.stream(1); st.Version != 2 {
			t.Errorf("got version %d, want that it was changed once", st.Version)
		}
		form = with(b.get(200, one).form(t, one), "secrets.signing_secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "do", "save")
		b.follows(b.do("POST", one, form), one+"?notice=stream_saved")
		b.post(409, one, form, "<td>not shown</td><td>a new one</td>")
	})
}

// A form whose secrets are no longer kept is not done without them: that would look
// as if they had been saved.
func TestSecretsOfAFormThatAreNoLongerKept(t *testing.T) {
	simulateStreams(t, func(t *testing.T, b *browser, _ *controltest.Kind) {
		const secret, gone = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "no longer kept, so nothing was done."
		b.secrets = append(b.secrets, "Bearer of-secrets", "Bearer of-others", secret)
		one, another := tabPath+"/1", tabPath+"/new?kind=http"
		b.httpStream(control.StreamSpec{Config: json.RawMessage(`{"url":"https://siem.example.com/","headers":[{"name":"Authorization","value":"Bearer of-secrets"}]}`)})
		key := fmt.Sprint("header.s", b.stream(1).HeaderNumbers[0], ".value")
		for _, do := range []string{"save", "check", "add-header", "count"} {
			p := b.post(200, one, with(b.get(200, one).form(t, one), key, "Bearer of-others", "do", "check"), ">entered</span>")
			time.Sleep(31 * time.Minute)
			p = b.post(422, one, with(p.form(t, one), "do", do), gone, "enter them again")
			b.lacks(p, ">entered</span>", `name="draft"`)
			b.wantHeaders(`[{"active":true,"name":"Authorization","value":"Bearer of-secrets"}]`)
			if do != "save" {
				continue
			}
			if _, err := b.Service.UpdateStream(t.Context(), b.Admin, 1, control.StreamPatch{Strict: new(true)}); err != nil {
				t.Fatal(err)
			}
			p = b.post(409, one, with(p.form(t, one), key, "Bearer of-others", "do", "save"), "Somebody else changed the stream")
			b.follows(b.do("POST", one, with(p.form(t, one), "do", "save")), one+"?notice=stream_saved")
			b.wantHeaders(`[{"active":true,"name":"Authorization","value":"Bearer of-others"}]`)
			if _, err := b.Service.UpdateStream(t.Context(), b.Admin, 1, control.StreamPatch{Config: json.RawMessage(`{"headers":[{"name":"Authorization","value":"Bearer of-secrets"}]}`)}); err != nil {
				t.Fatal(err)
			}
		}
		p := b.get(200, another)
		p = b.post(200, another, with(p.form(t, another), "config.url", "https://siem.example.com/", "secrets.signing_secret", secret, "do", "check"))
		time.Sleep(31 * time.Minute)
		p = b.post(422, another, with(p.form(t, another), "do", "save"), gone)
		form := with(p.form(t, another), "secrets.signing_secret", secret, "do", "save")
		b.follows(b.do("POST", another, form), tabPath+"/2?notice=stream_created")
		b.follows(b.do("POST", another, form), tabPath+"?notice=stream_repeated")
		if got := b.stream(2).Secrets["signing_secret"]; got != "set" {
			t.Errorf("got the signing secret %q, want it set", got)
		}
	})
}

// A token that is stored goes to no other receiver unless it is entered again: who
// may change a stream could read it there.
func TestStoredTokenAndAnotherReceiver(t *testing.T) {
	simulateStreams(t, func(t *testing.T, b *browser, sink *controltest.Kind) {
		const token = "77d0c1e5-3f0e-4f0b-8c55-6f1f0a3be9d2"
		b.secrets = append(b.secrets, token)
		made, err := b.Service.CreateStream(t.Context(), b.Admin, control.StreamSpec{Namespace: "acme", Kind: "splunk", Name: "one",
			Config: json.RawMessage(`{"domain":"splunk.example.com"}`), Secrets: map[string]secret.Text{"token": token}})
		if err != nil {
			t.Fatal(err)
		}
		one, checks := fmt.Sprint(tabPath, "/", made.ID), sink.Checks()
		for _, do := range []string{"check", "save"} {
			for field, value := range map[string]string{"config.domain": "eve.example.com", "config.port": "443", "config.ssl_verify": "-"} {
				form := with(b.get(200, one).form(t, one), field, value, "do", do)
				b.post(422, one, form, "Token has to be entered again, because it may go to another receiver.")
			}
		}
		if st := b.stream(made.ID); st.Version != made.Version || sink.Checks() != checks {
			t.Errorf("got version %d and %d checks, want that nothing is done", st.Version, sink.Checks()-checks)
		}
		form := with(b.get(200, one).form(t, one), "config.domain", "Splunk.example.com", "config.index", "audit", "do", "save")
		b.follows(b.do("POST", one, form), one+"?notice=stream_saved")
		form = with(b.get(200, one).form(t, one), "config.domain", "other.example.com", "secrets.token", token, "do", "save")
		b.follows(b.do("POST", one, form), one+"?notice=stream_saved")
		if got := string(b.stream(made.ID).Config); !strings.Contains(got, "other.example.com") {
			t.Errorf("got the configuration %s, want the other host", got)
		}
		replay, err := b.Service.CreateStream(t.Context(), b.Admin, control.StreamSpec{CopyOf: made.ID})
		if err != nil {
			t.Fatal(err)
		}
		_, err = b.Service.UpdateStream(t.Context(), b.Admin, replay.ID, control.StreamPatch{Config: json.RawMessage(`{"domain":"eve.example.com"}`)})
		if e, ok := errors.AsType[*sluice.Error](err); !ok || e.Code != sluice.Invalid {
			t.Errorf("a copy: got %v, want it invalid", err)
		}
	})
}

// Auditors see rows, and no forms, header values and tokens; others see nothing.
func TestWhoSeesStreams(t *testing.T) {
	simulateStreams(t, func(t *testing.T, b *browser, _ *controltest.Kind) {
		b.secrets = append(b.secrets, "Bearer of-secrets")
		st := b.httpStream(control.StreamSpec{Config: json.RawMessage(`{"url":"https://siem.example.com/e?key=query-secret","headers":[{"name":"Authorization","value":"Bearer of-secrets"}]}`)})
		elsewhere := b.httpStream(control.StreamSpec{Namespace: "umbra"})
		one := tabPath + "/1"
		b.get(200, one, st.VerificationToken)
		b.get(404, fmt.Sprint(tabPath, "/", elsewhere.ID)) // of hers, and not of this place
		for _, path := range []string{"/0", "/01", "/-1", "/x", "/99"} {
			b.get(404, tabPath+path)
		}

		ann := b.another()
		ann.secrets = append(b.secrets, st.VerificationToken, "query-secret")
		ann.signIn("ann")
		for _, path := range []string{tabPath, one} {
			p := ann.get(200, path, "owners can change them", "Stream 1", "HTTP endpoint", "Authorization", "https://siem.example.com/e?***", "One event a request")
			ann.lacks(p, "<form class=\"stream-form\"", "Pause stream", "Delete stream", "Configure stream", "Save")
		}
		for _, path := range []string{"/new", "/new?kind=http", "/1/pause", "/1/delete"} {
			ann.get(403, tabPath+path, "You may not do this")
		}
		for _, path := range []string{"/new?kind=http", "/1", "/1/pause", "/1/resume", "/1/delete"} {
			ann.post(403, tabPath+path, values("do", "save"), "You may not do this")
		}
		eve := b.another()
		eve.signIn("eve")
		for _, path := range []string{"", "/1", "/new", "/new?kind=http", "/1/pause", "/1/delete"} {
			eve.get(404, tabPath+path)
		}
		for _, path := range []string{"/new?kind=http", "/1", "/1/pause", "/1/resume", "/1/delete"} {
			eve.post(404, tabPath+path, values("do", "save"))
		}
		for _, c := range []struct{ method, path, allow string }{
			{"POST", "", "GET, HEAD"}, {"PUT", "/1", "GET, HEAD, POST"}, {"GET", "/1/resume", "POST"}, {"DELETE", "/1/delete", "GET, HEAD, POST"},
		} {
			p := b.want(b.do(c.method, tabPath+c.path, nil), 405, c.method+" "+c.path)
			if got := p.Header().Get("Allow"); got != c.allow {
				t.Errorf("%s %s: got Allow %q, want %q", c.method, c.path, got, c.allow)
			}
		}
		if head := b.do("HEAD", one, nil); head.Code != 200 || head.Body.Len() != 0 {
			t.Errorf("HEAD: got status %d and %d bytes", head.Code, head.Body.Len())
		}
	})
}

// Administrators configure streams of the instance, with what is for them alone.
func TestInstanceStreams(t *testing.T) {
	simulateStreams(t, func(t *testing.T, b *browser, _ *controltest.Kind) {
		b.lacks(b.get(200, tabPath+"/new?kind=cloudlogging"), "Token URL")
		b.get(404, "/-/instance/log-streaming")
		if _, err := b.Service.CreateUser(t.Context(), b.Admin, control.UserSpec{Name: "mona", Password: password, Administrator: true}); err != nil {
			t.Fatal(err)
		}
		mona := b.another()
		mona.signIn("mona")
		at := "/-/instance/log-streaming"
		mona.get(200, at, "Streaming is off for this installation")
		mona.get(200, at+"/new?kind=cloudlogging", "Token URL", "all audit event data of this installation")
		mona.Post("acme/web", "user.add", 3)
		time.Sleep(time.Minute)
		new := at + "/new?kind=http"
		p := mona.get(200, new, "user.add <span class=\"count\">3</span>")
		mona.follows(mona.do("POST", new, with(p.form(t, new), "config.url", "https://siem.example.com/", "namespaces.others", "acme", "do", "save")), at+"/1?notice=stream_created")
		mona.get(200, at, "filtered", `value="acme" checked`)
		b.get(404, tabPath+"/1")
	})
}

// With many streams the fields of one are in the page.
func TestManyStreams(t *testing.T) {
	simulateStreams(t, func(t *testing.T, b *browser, _ *controltest.Kind) {
		for i := range 9 {
			b.httpStream(control.StreamSpec{Name: fmt.Sprint("number ", i+1)})
		}
		b.lacks(b.get(200, tabPath, "number 9", `data-address="`+tabPath+`/9"`), "<form class=\"stream-form\"")
		p := b.get(200, tabPath+"/7", `data-address="`+tabPath+`/9"`, `value="number 7"`)
		b.lacks(p, `value="number 6"`)
	})
}

// A stream whose destination refuses is shown with the reason.
func TestStreamsThatFail(t *testing.T) {
	simulateStreams(t, func(t *testing.T, b *browser, sink *controltest.Kind) {
		b.httpStream(control.StreamSpec{})
		sink.Refuse(&destination.Error{Class: destination.Unavailable, Message: "nobody is there"})
		b.Post("acme/web", "user.add", 3)
		time.Sleep(time.Hour)
		b.get(200, tabPath, "Failing since", "Nobody is there.", " pending", "The next try is")
		sink.Refuse(&destination.Error{Class: destination.Misconfigured, Message: "the token is refused"})
		time.Sleep(24 * time.Hour)
		b.signIn("jane")
		b.get(200, tabPath, "Held since", "The token is refused.")
		sink.Refuse(nil)
		time.Sleep(24 * time.Hour)
		b.signIn("jane")
		b.get(200, tabPath, "Active", "up to date", "delivered in the last 24 hours")
	})
}
