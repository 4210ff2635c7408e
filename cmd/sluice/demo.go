package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sluicelog/sluice"
	"github.com/sluicelog/sluice/client"
	"github.com/sluicelog/sluice/githook"
)

// demoWait bounds each wait of the demo.
const demoWait = 30 * time.Second

type demoOptions struct {
	server    string
	tokenFile string
	keep      bool
	asJSON    bool
}

func demoFlags(fs *flag.FlagSet, env *Env) action {
	var o demoOptions
	fs.StringVar(&o.server, "server", "", "use the running server at this `URL` instead of starting one")
	fs.StringVar(&o.tokenFile, "token-file", "", "with --server: `FILE` with an administrator's token (or SLUICE_TOKEN)")
	fs.BoolVar(&o.keep, "keep", false, "leave the folder with log and repositories behind")
	fs.BoolVar(&o.asJSON, "json", false, "print the result as JSON")
	return func(ctx context.Context, _ []string) error {
		d := &demo{env: env, options: o, out: newPainter(env, o.asJSON)}
		err := d.run(ctx)
		if cleanErr := d.close(); err == nil {
			err = cleanErr
		}
		return err
	}
}

// demo is one run of the demonstration.
type demo struct {
	env     *Env
	options demoOptions
	out     *painter
	dir     string // temporary folder, "" before it is made
	process *exec.Cmd
	exited  chan error
	waiting sync.WaitGroup // for the process
	client  *client.Client
	server  string
	admin   string // administrator's token
	catcher *receiver
	group   string // top-level namespace
	path    string // the repository's
	stream  client.Stream
	result  demoResult
}

// demoResult is what the demo found.
type demoResult struct {
	OK     bool          `json:"ok"`
	Folder string        `json:"folder,omitempty"` // when it was kept
	Pushes []demoPush    `json:"pushes"`
	Ledger sluice.Ledger `json:"ledger"`
}

// demoPush is the way of one push.
type demoPush struct {
	What      string  `json:"what"`
	Ref       string  `json:"ref"`
	ID        string  `json:"id"`
	Partition string  `json:"partition"`
	Seq       uint64  `json:"seq"`
	AcceptMS  float64 `json:"push_ms"`    // the whole push, as the person who pushes sees it
	DeliverMS float64 `json:"deliver_ms"` // from the event's creation in the hook to the receiver
}

func (d *demo) run(ctx context.Context) error {
	steps := []func(context.Context) error{d.prepare, d.start, d.configure, d.repositories, d.pushes, d.settle}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	d.result.OK = true
	if d.options.keep {
		d.result.Folder = d.dir
	}
	if d.options.asJSON {
		return writeJSON(d.env.Stdout, d.result)
	}
	d.farewell()
	return nil
}

func (d *demo) prepare(context.Context) error {
	if _, err := exec.LookPath("git"); err != nil {
		return fmt.Errorf("demo: git is not installed")
	}
	dir, err := os.MkdirTemp("", "sluice-demo-")
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	d.dir = dir
	d.catcher, err = newReceiver()
	return err
}

// start starts a server, or connects to the one that was named.
func (d *demo) start(ctx context.Context) error {
	if d.options.server != "" {
		conn := &connection{env: d.env, server: d.options.server, tokenFile: d.options.tokenFile}
		c, err := conn.client()
		d.client, d.server = c, d.options.server
		return err
	}
	d.admin = rand.Text()
	if err := d.launch(); err != nil {
		return err
	}
	err := d.await(ctx, "the server to name its address", func() (bool, error) {
		d.server = announced(d.serverLog())
		return d.server != "", nil
	})
	if err != nil {
		return d.withServerLog(err)
	}
	if d.client, err = client.New(client.Config{Server: d.server, Token: d.admin}); err != nil {
		return err
	}
	if err := d.await(ctx, "the server to be ready", func() (bool, error) { return d.client.Ready(ctx) == nil, nil }); err != nil {
		return d.withServerLog(err)
	}
	d.out.step("server", "ready at %s, data in %s", d.server, filepath.Join(d.dir, "data"))
	return nil
}

// launch runs "sluice serve" as a child, at a port that the system chooses.
func (d *demo) launch() error {
	logFile, err := os.Create(filepath.Join(d.dir, "server.log"))
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer logFile.Close()
	d.process = exec.Command(d.env.Executable, "serve", "--data", filepath.Join(d.dir, "data"), "--listen", "127.0.0.1:0",
		"--allow-destination", "127.0.0.0/8")
	d.process.Env = append(withoutSettings(d.env.Environ), "SLUICE_ADMIN_TOKEN="+d.admin, "SLUICE_REQUEST_LIMIT=0")
	d.process.Stdout, d.process.Stderr = logFile, logFile
	if err := d.process.Start(); err != nil {
		return fmt.Errorf("demo: start server: %w", err)
	}
	d.exited = make(chan error, 1)
	d.waiting.Go(func() { d.exited <- d.process.Wait() })
	return nil
}

// withoutSettings removes the settings of another server.
func withoutSettings(environ []string) []string {
	var kept []string
	for _, pair := range environ {
		if !strings.HasPrefix(pair, "SLUICE_") {
			kept = append(kept, pair)
		}
	}
	return kept
}

// serverLog returns what the server has said, "" when that cannot be read.
func (d *demo) serverLog() string {
	text, err := os.ReadFile(filepath.Join(d.dir, "server.log"))
	if err != nil {
		return ""
	}
	return string(text)
}

// withServerLog says after err what the server said last.
func (d *demo) withServerLog(err error) error {
	text := d.serverLog()
	return fmt.Errorf("%w\nThe server's last words:\n%s", err, text[max(0, len(text)-2000):])
}

// configure makes namespace, token and stream.
func (d *demo) configure(ctx context.Context) error {
	d.group = "demo"
	if d.options.server != "" {
		d.group += "-" + strings.ToLower(rand.Text()[:6]) // leave what is there alone
	}
	d.path = d.group + "/hello"
	if _, err := d.client.CreateNamespace(ctx, d.group, client.Group); err != nil {
		return fmt.Errorf("demo: create namespace: %w", err)
	}
	token, err := d.client.CreateToken(ctx, client.TokenSpec{Kind: client.Producer, Namespace: d.group, Name: "demo hook"})
	if err != nil {
		return fmt.Errorf("demo: create token: %w", err)
	}
	if err := os.WriteFile(d.tokenPath(), []byte(token.Token+"\n"), 0o600); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	config, err := json.Marshal(map[string]string{"url": d.catcher.url()})
	if err != nil {
		return err
	}
	d.stream, err = d.client.CreateStream(ctx, client.StreamSpec{Namespace: d.group, Name: "demo receiver", Kind: "http", Config: config,
		Secrets: map[string]string{"verification_token": d.catcher.token}})
	if err != nil {
		return fmt.Errorf("demo: create stream: %w", err)
	}
	d.out.step("stream", "%d takes the events of %s to a receiver at %s", d.stream.ID, d.group, d.catcher.url())
	return nil
}

func (d *demo) tokenPath() string { return filepath.Join(d.dir, "producer.token") }

func (d *demo) bare() string { return filepath.Join(d.dir, "hello.git") }
func (d *demo) work() string { return filepath.Join(d.dir, "work") }

// gitEnv keeps the demo's commits independent of the user's configuration.
func (d *demo) gitEnv() []string {
	return append(withoutSettings(gitEnviron(d.env)), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=Mona", "GIT_AUTHOR_EMAIL=mona@example.com", "GIT_COMMITTER_NAME=Mona", "GIT_COMMITTER_EMAIL=mona@example.com")
}

func (d *demo) git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir, cmd.Env = dir, d.gitEnv()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("demo: git %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

func (d *demo) repositories(ctx context.Context) error {
	for _, args := range [][]string{
		{"init", "--quiet", "--bare", "--initial-branch=main", d.bare()},
		{"init", "--quiet", "--initial-branch=main", d.work()},
		{"-C", d.work(), "remote", "add", "origin", d.bare()},
	} {
		if _, err := d.git(ctx, d.dir, args...); err != nil {
			return err
		}
	}
	repo, err := githook.OpenRepository(ctx, d.bare(), d.gitEnv())
	if err != nil {
		return err
	}
	_, err = repo.Install(ctx, githook.Install{Executable: d.env.Executable, Server: d.server, TokenFile: d.tokenPath(), Namespace: d.path, Verbose: true})
	if err != nil {
		return err
	}
	d.out.step("hook", "installed in the bare repository %s", d.bare())
	return nil
}

// await asks done until it says yes.
func (d *demo) await(ctx context.Context, what string, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, demoWait)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := done()
		if err != nil || ok {
			return err
		}
		select {
		case <-tick.C:
		case err := <-d.exited:
			d.exited <- err
			return fmt.Errorf("demo: the server ended: %v", err)
		case <-ctx.Done():
			return fmt.Errorf("demo: waited %v in vain for %s", demoWait, what)
		}
	}
}

// settle waits until nothing is pending and shows the ledger.
func (d *demo) settle(ctx context.Context) error {
	err := d.await(ctx, "the ledger to show everything delivered", func() (bool, error) {
		var err error
		d.stream, err = d.client.Stream(ctx, d.stream.ID)
		return err == nil && d.stream.Ledger.Pending == 0, err
	})
	d.result.Ledger = d.stream.Ledger
	if err != nil {
		return err
	}
	l := d.stream.Ledger
	if !l.Balanced() || l.Quarantined > 0 || l.Expired > 0 || l.Delivered < uint64(len(d.result.Pushes)) {
		return fmt.Errorf("demo: the ledger is wrong: %+v", l)
	}
	return nil
}

func (d *demo) farewell() {
	l := d.result.Ledger
	d.out.step("ledger", "accepted %d = delivered %d + filtered %d + pending %d + quarantined %d + expired %d",
		l.Accepted, l.Delivered, l.Filtered, l.Pending, l.Quarantined, l.Expired)
	if more := l.Delivered - uint64(len(d.result.Pushes)); more > 0 {
		d.out.note("(with %d of Sluice's own, about the demo's stream and token)", more)
	}
	d.out.line("")
	d.out.line("Everything has arrived. To look further:")
	if d.options.keep && d.process != nil {
		d.out.line("  sluice log cat --data %s", filepath.Join(d.dir, "data"))
		d.out.line("  sluice log verify --data %s", filepath.Join(d.dir, "data"))
		d.out.line("  sluice serve --data %s --allow-destination 127.0.0.0/8", filepath.Join(d.dir, "data"))
		return
	}
	d.out.line("  sluice demo --keep         leaves log and repositories behind")
	d.out.line("  sluice serve               runs a server of your own")
	d.out.line("  sluice help stream create  says how to send events somewhere")
}

// close ends what the demo started.
func (d *demo) close() error {
	if d.options.server != "" && d.client != nil && d.stream.ID != 0 {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := d.client.DeleteStream(ctx, d.stream.ID); err != nil {
			d.out.note("stream %d is left behind: %v", d.stream.ID, err)
		}
	}
	var errs []error
	if d.process != nil && d.process.Process != nil {
		errs = append(errs, d.stop())
	}
	if d.client != nil {
		d.client.Close()
	}
	if d.catcher != nil {
		d.catcher.close()
	}
	if d.dir != "" && !d.options.keep {
		errs = append(errs, os.RemoveAll(d.dir))
	}
	return errors.Join(errs...)
}

// stop ends the server as an operator would.
func (d *demo) stop() error {
	if err := d.process.Process.Signal(syscall.SIGTERM); err != nil {
		return nil // it has ended before, which was reported
	}
	defer d.waiting.Wait()
	select {
	case err := <-d.exited:
		if err != nil {
			return fmt.Errorf("demo: the server did not end well: %w", err)
		}
		return nil
	case <-time.After(demoWait):
		return errors.Join(fmt.Errorf("demo: the server did not end within %v", demoWait), d.process.Process.Kill())
	}
}
