// Package process runs the programs of a benchmark as child processes, so that
// each one's processor time and memory can be read by itself. Linux only.
package process

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// grace is how long a process may take to stop before it is killed.
const grace = 15 * time.Second

// Spec says what to run.
type Spec struct {
	Path string
	Args []string
	Env  []string  // added to the environment without its SLUICE_ variables
	Log  io.Writer // gets standard error
}

// A Process is a running child. Its methods may be called by one goroutine at a
// time.
type Process struct {
	cmd    *exec.Cmd
	out    *bufio.Reader
	waited bool
}

// Usage is what a process has used so far.
type Usage struct {
	CPU    time.Duration // user and system time of all threads
	MaxRSS int64         // bytes resident at the highest
	RSS    int64         // bytes resident now
}

// Start starts a child. It is killed when ctx ends or when this process dies.
func Start(ctx context.Context, spec Spec) (*Process, error) {
	cmd := exec.CommandContext(ctx, spec.Path, spec.Args...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "SLUICE_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, spec.Env...)
	cmd.Stderr = spec.Log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Path, err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Path, err)
	}
	return &Process{cmd: cmd, out: bufio.NewReader(out)}, nil
}

// Line reads the next line of the child's standard output, without its break.
func (p *Process) Line() (string, error) {
	line, err := p.out.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("read from %s: %w", p.cmd.Path, err)
	}
	return strings.TrimSuffix(line, "\n"), nil
}

// Output reads the rest of the child's standard output and waits for its end.
func (p *Process) Output() ([]byte, error) {
	out, err := io.ReadAll(p.out)
	p.waited = true
	return out, errors.Join(err, p.cmd.Wait())
}

// Ended reports whether the child has ended by itself and was not waited for yet.
func (p *Process) Ended() bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	return err != nil || bytes.HasPrefix(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" Z"))
}

// CPU returns the processor time that a child used which has ended.
func (p *Process) CPU() time.Duration {
	return p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
}

// Stop asks the child to end and waits; one that does not end is killed, and that
// is an error. A child that is already gone is none.
func (p *Process) Stop() error {
	if p.waited {
		return nil
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", p.cmd.Path, err)
	}
	var late atomic.Bool
	timer := time.AfterFunc(grace, func() {
		late.Store(true)
		p.cmd.Process.Kill()
	})
	p.drain()
	if timer.Stop(); late.Load() {
		return fmt.Errorf("stop %s: killed, for it did not end within %v", p.cmd.Path, grace)
	}
	return nil
}

// ID returns the child's process id.
func (p *Process) ID() int { return p.cmd.Process.Pid }

// Signal sends the child a signal.
func (p *Process) Signal(sig os.Signal) error { return p.cmd.Process.Signal(sig) }

// Kill ends the child as a crash would (SIGKILL) and waits.
func (p *Process) Kill() error {
	if p.waited {
		return nil
	}
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s: %w", p.cmd.Path, err)
	}
	p.drain()
	return nil
}

// drain waits for the child's end; how it ended is in its log.
func (p *Process) drain() {
	p.waited = true
	io.Copy(io.Discard, p.out)
	p.cmd.Wait()
}

// State says how the child, which was waited for, has ended.
func (p *Process) State() *os.ProcessState { return p.cmd.ProcessState }

// Usage reads what the running child has used, to 10 ms and one page.
func (p *Process) Usage() (Usage, error) {
	dir := fmt.Sprintf("/proc/%d/", p.cmd.Process.Pid)
	stat, err := os.ReadFile(dir + "stat")
	if err != nil {
		return Usage{}, fmt.Errorf("read usage: %w", err)
	}
	status, err := os.ReadFile(dir + "status")
	if err != nil {
		return Usage{}, fmt.Errorf("read usage: %w", err)
	}
	return parseUsage(stat, status)
}

// FamilyCPU returns the processor time that the child and the processes it started
// have used so far. Those that have ended are left out.
func (p *Process) FamilyCPU() (cpu time.Duration, err error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, fmt.Errorf("list processes: %w", err)
	}
	parents, used := map[int]int{}, map[int]time.Duration{}
	for _, name := range stats {
		var pid int
		stat, err := os.ReadFile(name)
		if _, scan := fmt.Sscanf(name, "/proc/%d/stat", &pid); err != nil || scan != nil {
			continue // it has ended
		}
		var u Usage
		if parents[pid], u, err = parseStat(stat); err != nil {
			return 0, err
		}
		used[pid] = u.CPU
	}
	for pid := range used {
		for up := pid; up != 0; up = parents[up] {
			if up == p.cmd.Process.Pid {
				cpu += used[pid]
				break
			}
		}
	}
	return cpu, nil
}

// tick is the unit of /proc/pid/stat, 1/USER_HZ: the same on every Linux that Go
// runs on. See proc(5).
const tick = 10 * time.Millisecond

// parseStat reads the processor time and the parent.
func parseStat(stat []byte) (parent int, u Usage, err error) {
	// The command's name, in parentheses, may hold anything; the parent is the 2nd
	// field after it, user and system time are the 12th and 13th.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, u, fmt.Errorf("read usage: %q is too short", stat)
	}
	if parent, err = strconv.Atoi(string(fields[1])); err != nil {
		return 0, u, fmt.Errorf("read usage: %w", err)
	}
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(string(f), 10, 64)
		if err != nil {
			return 0, u, fmt.Errorf("read usage: %w", err)
		}
		u.CPU += time.Duration(n) * tick
	}
	return parent, u, nil
}

func parseUsage(stat, status []byte) (Usage, error) {
	_, u, err := parseStat(stat)
	if err != nil {
		return u, err
	}
	for line := range strings.Lines(string(status)) {
		for name, to := range map[string]*int64{"VmHWM:": &u.MaxRSS, "VmRSS:": &u.RSS} {
			rest, ok := strings.CutPrefix(line, name)
			if !ok {
				continue
			}
			if _, err := fmt.Sscanf(rest, "%d kB", to); err != nil {
				return Usage{}, fmt.Errorf("read usage: %w", err)
			}
			*to *= 1024
		}
	}
	return u, nil
}

// OpenFiles counts the files and connections that the running child has open.
func (p *Process) OpenFiles() (int, error) {
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("count open files: %w", err)
	}
	return len(list), nil
}
