// Command sluice records audit and Git events durably and streams them to the
// systems their owners choose. One binary is server, client and Git hook.
//
// Every command is an entry in one table (see commands), from which the help
// texts, the shell completion and docs/cli.md are made.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/sluicelog/sluice/client"
)

// Exit codes of every command.
const (
	exitOK      = 0
	exitFailure = 1 // it was tried and did not work
	exitUsage   = 2 // the command line or the configuration is wrong
	exitChanges = 3 // of apply --plan: there is something to change
)

// Env is what a command gets from its process. Tests give their own.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Environ        []string // NAME=value, as os.Environ
	// Executable is the path of this binary, for commands that start it again or
	// write it into a hook.
	Executable string
	// Terminal says that a person looks at Stderr: progress may be drawn there.
	Terminal bool
}

// Getenv returns the value of an environment variable, "" when it is not set.
func (e *Env) Getenv(name string) string {
	for i := len(e.Environ) - 1; i >= 0; i-- {
		if k, v, _ := strings.Cut(e.Environ[i], "="); k == name {
			return v
		}
	}
	return ""
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	executable, err := os.Executable()
	if err != nil {
		executable = os.Args[0]
	}
	os.Exit(run(ctx, &Env{
		Stdin:      os.Stdin,
		Stdout:     os.Stdout,
		Stderr:     os.Stderr,
		Environ:    os.Environ(),
		Executable: executable,
		Terminal:   isTerminal(os.Stderr),
	}, os.Args[1:]))
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// usageError is a mistake in the command line or the configuration.
type usageError struct {
	message string
	hint    string
}

func (e *usageError) Error() string { return e.message }

func usagef(format string, args ...any) *usageError {
	return &usageError{message: fmt.Sprintf(format, args...)}
}

func (e *usageError) withHint(format string, args ...any) *usageError {
	return &usageError{message: e.message, hint: fmt.Sprintf(format, args...)}
}

// silentError ends the process with exit code 1 and says nothing more: the
// command has printed what there is to say.
type silentError struct{}

func (silentError) Error() string { return "failed" }

// exitWith is silentError with another exit code.
type exitWith int

func (exitWith) Error() string { return "ended" }

// run runs the command line args and returns the exit code.
func run(ctx context.Context, env *Env, args []string) int {
	err := dispatch(ctx, env, commands(), args)
	if err == nil {
		return exitOK
	}
	if _, ok := errors.AsType[silentError](err); ok {
		return exitFailure
	}
	if code, ok := errors.AsType[exitWith](err); ok {
		return int(code)
	}
	fmt.Fprintf(env.Stderr, "sluice: %v\n", err)
	if e, ok := errors.AsType[*usageError](err); ok {
		if e.hint != "" {
			fmt.Fprintln(env.Stderr, e.hint)
		}
		return exitUsage
	}
	if e, ok := errors.AsType[advised](err); ok {
		fmt.Fprintln(env.Stderr, e.advice)
	}
	if e, ok := errors.AsType[*client.Error](err); ok && e.Hint != "" {
		fmt.Fprintln(env.Stderr, e.Hint)
	}
	return exitFailure
}
