package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/client"
	"github.com/sluicelog/sluice/destination"
	"github.com/sluicelog/sluice/destination/webhook"
)

// streamFlags are the flags that describe a stream.
type streamFlags struct {
	spec        client.StreamSpec
	filter      sluice.Filter
	file        string
	url         string
	configFile  string
	set         []string
	secretFiles []string
	secretEnv   []string
	headerFile  string
	inactive    bool
}

func (f *streamFlags) add(fs *flag.FlagSet) {
	fs.StringVar(&f.file, "file", "", "JSON `FILE` with the whole stream, - for standard input; excludes the flags that describe one")
	fs.StringVar(&f.spec.Namespace, "namespace", "", "top-level `NAMESPACE`; empty is the instance")
	fs.StringVar(&f.spec.Kind, "kind", "http", "`KIND` of destination")
	f.addCommon(fs)
	fs.StringVar(&f.spec.Start, "start", "", "first event: `now|earliest|TIME` (now unless given)")
	fs.BoolVar(&f.inactive, "inactive", false, "create it paused")
}

// addCommon adds what can also be changed later.
func (f *streamFlags) addCommon(fs *flag.FlagSet) {
	fs.StringVar(&f.spec.Name, "name", "", "`NAME`, unique in the namespace, at most 72 characters")
	fs.StringVar(&f.url, "url", "", "`URL` of an http destination; the same as --set url=URL")
	fs.StringVar(&f.configFile, "config", "", "JSON `FILE` with the destination's configuration")
	fs.Var(listValue{&f.set}, "set", "set a field of the configuration: `KEY=VALUE`; may be repeated. VALUE is text or JSON, as the\nfield wants it; a text in quotes ('\"null\"') is text in any case")
	fs.Var(listValue{&f.secretFiles}, "secret-file", "read a secret from a file: `NAME=FILE`; may be repeated")
	fs.Var(listValue{&f.secretEnv}, "secret-env", "read a secret from the environment: `NAME=VARIABLE`; may be repeated")
	fs.StringVar(&f.headerFile, "header-file", "", "`FILE` with custom headers of an http destination, \"Name: value\" a line")
	fs.Var(listValue{&f.filter.EventTypes}, "event-type", "only events of this `TYPE`; may be repeated")
	fs.Var(listValue{&f.filter.ExcludedEventTypes}, "exclude-event-type", "no events of this `TYPE`; may be repeated")
	fs.Var(listValue{&f.filter.Namespaces}, "filter-namespace", "only events of this `NAMESPACE` and below; may be repeated")
	fs.StringVar(&f.spec.Until, "until", "", "end with the last event accepted before this `TIME`")
	fs.BoolVar(&f.spec.Strict, "strict", false, "wait for an event that alone keeps failing, instead of setting it aside after an hour; what the destination refuses as such is set aside even so")
}

// build returns the stream that the flags describe.
func (f *streamFlags) build(fs *flag.FlagSet, env *Env) (client.StreamSpec, error) {
	if f.file != "" {
		return f.read(fs, env)
	}
	config, err := f.config(f.spec.Kind)
	if err != nil {
		return f.spec, err
	}
	if f.spec.Config, err = json.Marshal(config); err != nil {
		return f.spec, fmt.Errorf("encode configuration: %w", err)
	}
	if f.spec.Secrets, err = f.secrets(env); err != nil {
		return f.spec, err
	}
	if !f.filter.Empty() {
		f.spec.Filter = &f.filter
	}
	if f.inactive {
		f.spec.Active = new(false)
	}
	return f.spec, nil
}

// described returns a flag that was given and describes a stream, "" for none.
func described(fs *flag.FlagSet) (name string) {
	fs.Visit(func(given *flag.Flag) {
		switch given.Name {
		case "file", "json", "check", "dry-run", "server", "token-file":
		default:
			name = given.Name
		}
	})
	return name
}

func (f *streamFlags) read(fs *flag.FlagSet, env *Env) (client.StreamSpec, error) {
	var spec client.StreamSpec
	if extra := described(fs); extra != "" {
		return spec, usagef("--file and --%s exclude each other", extra)
	}
	text, err := readInput(env, f.file)
	if err != nil {
		return spec, err
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&spec); err != nil {
		return spec, usagef("%s: %v", f.file, err)
	}
	return spec, nil
}

// readInput reads a file, or standard input for "-".
func readInput(env *Env, file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(env.Stdin)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, usagef("%v", err)
	}
	return text, nil
}

// config returns the configuration that the flags give for a kind.
func (f *streamFlags) config(kind string) (map[string]any, error) {
	config := map[string]any{}
	if f.configFile != "" {
		text, err := os.ReadFile(f.configFile)
		if err != nil {
			return nil, usagef("%v", err)
		}
		dec := json.NewDecoder(bytes.NewReader(text))
		dec.UseNumber()
		if err := dec.Decode(&config); err != nil {
			return nil, usagef("%s: %v", f.configFile, err)
		}
	}
	for _, pair := range f.set {
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, usagef("--set %s: must be KEY=VALUE", pair)
		}
		config[key] = memberValue(kind, key, value)
	}
	if f.url != "" {
		config["url"] = f.url
	}
	if f.headerFile != "" {
		headers, err := readHeaders(f.headerFile)
		if err != nil {
			return nil, err
		}
		config["headers"] = headers
	}
	return config, nil
}

// memberValue returns the value of --set KEY=VALUE: what the kind wants as text is
// text, so that a name may look like a number; what else is JSON is that. Null, and
// a string in quotes, are JSON in any case.
func memberValue(kind, key, value string) any {
	if !json.Valid([]byte(value)) || wantsText(kind, key) && value != "null" && value[0] != '"' {
		return value
	}
	return json.RawMessage(value)
}

// wantsText reports whether a member of a kind's configuration is text. Of what
// this program does not know, a newer server decides.
func wantsText(kind, key string) bool {
	for _, k := range kinds() {
		d, ok := k.(destination.Described)
		if !ok || k.Name() != kind {
			continue
		}
		form := d.Form()
		input, ok := form.Member(key)
		return ok && slices.Contains([]destination.InputType{destination.InputText, destination.InputChoice, destination.InputFile}, input.Type)
	}
	return false
}

// header is a custom header of an http destination.
type header struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Active bool   `json:"active"`
}

// readHeaders reads "Name: value" lines; empty lines and those that start with
// "#" do not count.
func readHeaders(file string) ([]header, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, usagef("%v", err)
	}
	var headers []header
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, usagef("%s: line %d is not \"Name: value\"", file, number)
		}
		headers = append(headers, header{strings.TrimSpace(name), strings.TrimSpace(value), true})
	}
	return headers, nil
}

func (f *streamFlags) secrets(env *Env) (map[string]string, error) {
	secrets := map[string]string{}
	for _, pair := range f.secretFiles {
		name, file, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, usagef("--secret-file: must be NAME=FILE")
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, usagef("%v", err)
		}
		secrets[name] = strings.TrimRight(string(text), "\r\n")
	}
	for _, pair := range f.secretEnv {
		name, variable, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, usagef("--secret-env: must be NAME=VARIABLE")
		}
		if secrets[name] = env.Getenv(variable); secrets[name] == "" {
			return nil, usagef("--secret-env: the variable for %q is not set", name)
		}
	}
	return secrets, nil
}

// chooseToken chooses the verification token that the server would generate, so
// that the check sends the one that the stream gets.
func chooseToken(spec *client.StreamSpec) {
	for _, k := range kinds() {
		if k.Name() != spec.Kind || !slices.Contains(k.SecretNames(), webhook.VerificationToken) || spec.Secrets[webhook.VerificationToken] != "" {
			continue
		}
		secrets := map[string]string{webhook.VerificationToken: rand.Text()[:24]}
		maps.Copy(secrets, spec.Secrets)
		spec.Secrets = secrets
	}
}

func streamCreateFlags(fs *flag.FlagSet, env *Env) action {
	var f streamFlags
	f.add(fs)
	check := fs.Bool("check", false, "check the destination first and create nothing when that fails")
	dryRun := fs.Bool("dry-run", false, "create nothing: count what its filter would have let pass in the last seven days")
	asJSON := jsonFlag(fs)
	return withClient(fs, env, func(ctx context.Context, c *client.Client, _ []string) error {
		spec, err := f.build(fs, env)
		if err != nil {
			return err
		}
		if *dryRun {
			return previewStream(ctx, c, env, spec, *asJSON)
		}
		if *check {
			chooseToken(&spec)
			r, err := c.CheckSpec(ctx, spec)
			if err != nil {
				return err
			}
			if err := reportCheck(env.Stderr, r, false); err != nil {
				return err
			}
		}
		s, err := c.CreateStream(ctx, spec)
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(env.Stdout, s.Raw)
		}
		_, err = fmt.Fprintf(env.Stdout, "Created stream %d: %s to %s, %s.\n", s.ID, orNone(s.Namespace, "the instance"), s.Kind, s.Status)
		return err
	})
}
