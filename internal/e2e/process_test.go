package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binEnv names the directory of the commands that were built for this run of the tests.
const binEnv = "E2E_COMMANDS"

// TestMain is the NATS server where a test has started this binary as one. Else it runs the tests, and removes what was
// built for them.
func TestMain(m *testing.M) {
	if settings, ok := os.LookupEnv(brokerEnv); ok {
		os.Exit(brokerMain(settings))
	}
	dir, err := os.MkdirTemp("", "keyturn-e2e-")
	if err == nil {
		err = os.Setenv(binEnv, dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// built builds our commands when the first test asks for one, and gives their directory.
var built = sync.OnceValues(func() (string, error) {
	dir := os.Getenv(binEnv)
	args := append([]string{"build", "-buildvcs=false", "-ldflags=-s -w", "-o", dir + string(filepath.Separator)}, buildFlags()...)
	out, err := exec.Command("go", append(args, "keyturn/cmd/ingest", "keyturn/cmd/worker", "keyturn/cmd/keyturn")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return dir, nil
})

// command is one of our commands. Of this process's environment it gets what no program does without.
func command(t *testing.T, name string, settings []string, args ...string) *exec.Cmd {
	t.Helper()
	dir, err := built()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(dir, name), args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + cmd.Dir, "TMPDIR=" + os.TempDir(),
		"GORACE=atexit_sleep_ms=20"}, settings...) // the race detector lets every process end a second later
	return cmd
}

// run runs one of our commands to its end.
func run(t *testing.T, name string, settings []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := command(t, name, settings, args...)
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	if e := cmd.Start(); e != nil {
		t.Fatal(e)
	}
	late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	_ = cmd.Wait() // the exit code tells
	return cmd.ProcessState.ExitCode(), out.String(), err.String()
}

const (
	// patience is how long a condition is waited for that takes seconds: the machine may be slow and busy.
	patience = 90 * time.Second
	// companyAtMost is how much longer a proof may take on a machine that is slow: after a reading of everybody that took
	// long, the next one waits for company for ten times as long, and two minutes at most.
	companyAtMost = 2 * time.Minute
	// stopLimit is the longest that a clean stop may take.
	stopLimit = 20 * time.Second
)

// proc is a process that dies and is started again, as under a supervisor: one life after the other.
type proc struct {
	name  string
	admin string // address of its health; empty where it has none
	life  func() *exec.Cmd

	log   *os.File // what all its lives said
	cmd   *exec.Cmd
	ended chan struct{} // closed when this life is over
	lives int
}

// newProc makes a process before its first life. What it said last is shown when the test fails.
func newProc(t *testing.T, name string, life func() *exec.Cmd) *proc {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	p := &proc{name: name, life: life, log: log}
	t.Cleanup(func() {
		if p.alive() && t.Failed() {
			p.lastWords()
		}
		if p.alive() {
			p.kill()
		}
		if t.Failed() {
			t.Logf("%s said last:\n%s", name, last(p.said(), 6<<10))
		}
		_ = log.Close()
	})
	return p
}

// start begins a life.
func (p *proc) start(t *testing.T) {
	t.Helper()
	cmd := p.life()
	cmd.Stdout, cmd.Stderr = p.log, p.log
	// Nobody writes to it: its end tells a helper that this process is gone.
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", p.name, err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // its state tells
	}()
	p.cmd, p.ended = cmd, ended
	p.lives++
}

// alive reports whether a life goes on.
func (p *proc) alive() bool {
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// kill ends a life as a crash does.
func (p *proc) kill() {
	_ = p.cmd.Process.Kill() // it may have ended by itself
	<-p.ended
}

// lastWords lets a process that is to be killed end by itself, and say why it was about to.
func (p *proc) lastWords() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(stopLimit):
	}
}

// stop ends a life as an operator does. It wants an orderly end, in time.
func (p *proc) stop(t *testing.T) {
	t.Helper()
	began := time.Now()
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // one that has ended shows its code below
	select {
	case <-p.ended:
	case <-time.After(stopLimit):
		t.Errorf("%s did not stop within %s", p.name, stopLimit)
		p.kill()
		return
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("%s stopped with %s after %s", p.name, p.cmd.ProcessState, time.Since(began).Round(time.Millisecond))
	}
}

// tend starts a process again that gave up, as a supervisor does: one that began while its broker was away may. Any
// other end of its own is a failure of the test.
func (p *proc) tend(t *testing.T) {
	t.Helper()
	if p.alive() {
		return
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 1 {
		t.Fatalf("%s ended by itself: %s", p.name, p.cmd.ProcessState)
	}
	t.Logf("%s gave up, and is started again: %s", p.name, last(p.said(), 400))
	p.start(t)
}

// said gives what all lives have said.
func (p *proc) said() string {
	data, err := os.ReadFile(p.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// last is the end of a text.
func last(text string, n int) string { return text[max(len(text)-n, 0):] }

// ready reports whether the process says that it can do its job.
func (p *proc) ready() bool {
	status, _ := get("http://" + p.admin + "/readyz")
	return status == http.StatusOK
}

// get reads a page. The status is 0 where nobody answers.
func get(url string) (status int, body string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err.Error()
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(data)
}

// await looks until a condition holds, and gives up at the limit.
func await(t *testing.T, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	deadline := time.After(limit)
	for !holds() {
		select {
		case <-look.C:
		case <-deadline:
			t.Fatalf("waited %s in vain for %s", limit, what)
		}
	}
}
