package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/client"
)

// updateFlags are the flags that describe a change of a stream.
type updateFlags struct {
	streamFlags
	everything bool
	removed    []string
}

func (f *updateFlags) add(fs *flag.FlagSet) {
	fs.StringVar(&f.file, "file", "", "JSON `FILE` with the fields to change, - for standard input; excludes the flags that describe a change")
	f.addCommon(fs)
	fs.BoolVar(&f.everything, "no-filter", false, "remove the filter; the flags that give a filter make a new one")
	fs.Var(listValue{&f.removed}, "remove-secret", "remove the secret `NAME`; may be repeated")
}

// patch returns the change that the flags describe: what they do not name stays.
func (f *updateFlags) patch(ctx context.Context, fs *flag.FlagSet, env *Env, c *client.Client, id sluice.StreamID) (json.RawMessage, error) {
	extra := described(fs)
	switch {
	case f.file != "" && extra != "":
		return nil, usagef("--file and --%s exclude each other", extra)
	case f.file != "":
		return readPatch(env, f.file)
	case extra == "":
		return nil, usagef("stream update: nothing to change").withHint("\"sluice help stream update\" lists what can be changed.")
	}
	given := map[string]any{}
	fs.Visit(func(flag *flag.Flag) {
		switch flag.Name {
		case "name":
			given["name"] = f.spec.Name
		case "until":
			given["until"] = f.spec.Until
		case "strict":
			given["strict"] = f.spec.Strict
		}
	})
	if filter := f.filterPatch(); len(filter) > 0 {
		given["filter"] = filter
	}
	secrets, err := f.secrets(env)
	if err != nil {
		return nil, err
	}
	for _, name := range f.removed {
		secrets[name] = ""
	}
	if len(secrets) > 0 {
		given["secrets"] = secrets
	}
	config, err := f.configPatch(ctx, c, id)
	if err != nil {
		return nil, err
	}
	if len(config) > 0 {
		given["config"] = config
	}
	return json.Marshal(given)
}

// configPatch asks what kind the stream is of when that decides how to read a
// value.
func (f *updateFlags) configPatch(ctx context.Context, c *client.Client, id sluice.StreamID) (map[string]any, error) {
	kind := ""
	if len(f.set) > 0 {
		s, err := c.Stream(ctx, id)
		if err != nil {
			return nil, err
		}
		kind = s.Kind
	}
	return f.config(kind)
}

func (f *updateFlags) filterPatch() map[string][]string {
	filter := map[string][]string{}
	for name, list := range map[string][]string{
		"event_types": f.filter.EventTypes, "excluded_event_types": f.filter.ExcludedEventTypes, "namespaces": f.filter.Namespaces,
	} {
		switch {
		case len(list) > 0:
			filter[name] = list
		case f.everything:
			filter[name] = []string{}
		}
	}
	return filter
}

func readPatch(env *Env, file string) (json.RawMessage, error) {
	text, err := readInput(env, file)
	if err != nil {
		return nil, err
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(text, &object); err != nil || len(object) == 0 {
		return nil, usagef("%s: must hold a JSON object with the fields to change", file)
	}
	return text, nil
}

func streamUpdateFlags(fs *flag.FlagSet, env *Env) action {
	var f updateFlags
	f.add(fs)
	asJSON := jsonFlag(fs)
	return withClient(fs, env, func(ctx context.Context, c *client.Client, args []string) error {
		id, err := parseStreamID(args[0])
		if err != nil {
			return err
		}
		patch, err := f.patch(ctx, fs, env, c, id)
		if err != nil {
			return err
		}
		s, err := c.UpdateStream(ctx, id, patch)
		if err != nil {
			return err
		}
		if *asJSON {
			return writeJSON(env.Stdout, s.Raw)
		}
		_, err = fmt.Fprintf(env.Stdout, "Changed stream %d: %s to %s, %s.\n", s.ID, orNone(s.Namespace, "the instance"), s.Kind, s.Status)
		return err
	})
}
