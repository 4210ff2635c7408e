package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/client"
)

// connection is how client commands reach the server.
type connection struct {
	env       *Env
	server    string
	tokenFile string
}

func connectionFlags(fs *flag.FlagSet, env *Env) *connection {
	c := &connection{env: env}
	fs.StringVar(&c.server, "server", "", "`URL` of the server (SLUICE_SERVER, or "+client.DefaultServer+")")
	fs.StringVar(&c.tokenFile, "token-file", "", "`FILE` with the token (SLUICE_TOKEN_FILE, or the token itself in SLUICE_TOKEN)")
	return c
}

// serverURL returns the server's address.
func (c *connection) serverURL() string {
	for _, s := range []string{c.server, c.env.Getenv("SLUICE_SERVER")} {
		if s != "" {
			return s
		}
	}
	return client.DefaultServer
}

// token returns the token, from the first place that names one.
func (c *connection) token() (string, error) {
	file := c.tokenFile
	if file == "" {
		if t := c.env.Getenv("SLUICE_TOKEN"); t != "" {
			return t, nil
		}
		file = c.env.Getenv("SLUICE_TOKEN_FILE")
	}
	if file == "" {
		return "", usagef("no token").withHint("Put it into a file and name that with --token-file, or set SLUICE_TOKEN.")
	}
	return readSecretFile(file)
}

func (c *connection) client() (*client.Client, error) {
	token, err := c.token()
	if err != nil {
		return nil, err
	}
	cl, err := client.New(client.Config{Server: c.serverURL(), Token: token, UserAgent: "sluice/" + version()})
	if err != nil {
		return nil, usagef("%v", err)
	}
	return cl, nil
}

// readSecretFile returns the first line of a file.
func readSecretFile(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 64<<10))
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	if line = strings.TrimSpace(line); line == "" {
		return "", fmt.Errorf("read secret: %s is empty", file)
	}
	return line, nil
}

func jsonFlag(fs *flag.FlagSet) *bool {
	return fs.Bool("json", false, "print JSON")
}

// withClient is the common frame of client commands.
func withClient(fs *flag.FlagSet, env *Env, act func(ctx context.Context, c *client.Client, args []string) error) action {
	conn := connectionFlags(fs, env)
	return func(ctx context.Context, args []string) error {
		c, err := conn.client()
		if err != nil {
			return err
		}
		defer c.Close()
		return act(ctx, c, args)
	}
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// writeRaw prints the server's own JSON of each item, as an array.
func writeRaw[T any](w io.Writer, items []T, raw func(T) json.RawMessage) error {
	list := make([]json.RawMessage, 0, len(items))
	for _, item := range items {
		list = append(list, raw(item))
	}
	return writeJSON(w, list)
}

func parseStreamID(s string) (sluice.StreamID, error) {
	id, err := strconv.ParseInt(s, 10, 64)
	if err != nil || id <= 0 {
		return 0, usagef("stream %q: must be a number", s).withHint("\"sluice stream list\" shows them.")
	}
	return sluice.StreamID(id), nil
}

// confirm asks a question on standard error and reports whether the answer was
// yes.
func confirm(env *Env, question string) bool {
	fmt.Fprintf(env.Stderr, "%s [y/N] ", question)
	line, _ := bufio.NewReader(env.Stdin).ReadString('\n')
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes"
}

// orNone shows an empty name.
func orNone(s, none string) string {
	if s == "" {
		return none
	}
	return s
}
