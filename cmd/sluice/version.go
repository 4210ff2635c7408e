package main

import (
	"context"
	"flag"
	"fmt"
	"runtime"
	"runtime/debug"
)

// version returns the version that the build recorded, "devel" when it did not.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "devel"
	}
	return info.Main.Version
}

func versionFlags(fs *flag.FlagSet, env *Env) action {
	asJSON := jsonFlag(fs)
	return func(context.Context, []string) error {
		platform := runtime.GOOS + "/" + runtime.GOARCH
		if *asJSON {
			return writeJSON(env.Stdout, map[string]string{"version": version(), "go": runtime.Version(), "platform": platform})
		}
		_, err := fmt.Fprintf(env.Stdout, "sluice %s (%s, %s)\n", version(), runtime.Version(), platform)
		return err
	}
}
