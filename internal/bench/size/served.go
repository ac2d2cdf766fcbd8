package size

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	connection   = "okta-prod"
	sourceName   = "bench"
	sourceSecret = "a secret of the benchmark" //nolint:gosec // the benchmark's own
	// readyWithin is how long a start may take before it counts as failed.
	readyWithin = 2 * time.Minute
	// A process is calm that takes no more of a processor in such a time, and has planned what it took: beside a long queue
	// some actions come each second to see whether their provider has room.
	calmOver    = 2 * time.Second
	calmLoad    = 60 * time.Millisecond
	plannedLoad = 10 * calmLoad
)

// build makes the tool as it is shipped, from the repository's root.
func build(ctx context.Context, dir string) (string, error) {
	bin := filepath.Join(dir, "keyturn")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", bin, "./cmd/keyturn")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build ./cmd/keyturn from the repository's root: %w: %s", err, bytes.TrimSpace(out))
	}
	return bin, nil
}

// configure writes a configuration with one source, one connection at base and one playbook.
func configure(dir, base string) error {
	return errors.Join(os.MkdirAll(filepath.Join(dir, "secrets"), 0o700),
		os.WriteFile(filepath.Join(dir, "secrets", "bench"), []byte(sourceSecret), 0o600),
		os.WriteFile(filepath.Join(dir, "sources.yaml"), []byte(`sources:
  bench: {preset: cloudevents, verify: {hmac: {header: X-Signature, prefix: "sha256=", secrets: ["${file:secrets/bench}"]}}}
`), 0o600),
		os.WriteFile(filepath.Join(dir, "connections.yaml"), fmt.Appendf(nil, `connections:
  %s: {provider: okta, base_url: %q, concurrency: 32, auth: {ssws: "${file:secrets/bench}"}}
`, connection, base), 0o600),
		os.WriteFile(filepath.Join(dir, "playbooks.yaml"), fmt.Appendf(nil, `playbooks:
  - name: offboard
    on: [user.terminated]
    actions:
      - {step: suspend, do: okta.suspend_user, at: %s, with: {user: "${{ event.data.user }}"}}
guards:
  protected: ["user:break.glass@acme.example"]
`, connection), 0o600))
}

// served is `keyturn serve` in a process of its own, as an operator starts it.
type served struct {
	cmd   *exec.Cmd
	URL   string // where it takes webhooks
	admin string
	ready time.Duration // from the start of the process until it said that it is ready
	ended chan error
}

// serve starts one over a store and waits until it is ready.
func serve(ctx context.Context, bin, store, conf string) (*served, error) {
	s := &served{cmd: exec.CommandContext(ctx, bin, "serve"), ended: make(chan error, 1)}
	s.cmd.Env = append(os.Environ(), "KEYTURN_STORE="+store, "KEYTURN_CONFIG_DIR="+conf, "KEYTURN_LISTEN=127.0.0.1:0",
		"KEYTURN_ADMIN_LISTEN=127.0.0.1:0", "KEYTURN_RELOAD=0s")
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(syscall.SIGTERM) }
	s.cmd.WaitDelay = 30 * time.Second
	logs, err := s.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	if err := s.listen(logs); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	for s.status(ctx) != http.StatusOK {
		if ctx.Err() != nil || time.Since(began) > readyWithin {
			return nil, errors.Join(errors.New("keyturn serve did not become ready"), s.stop())
		}
		time.Sleep(5 * time.Millisecond)
	}
	s.ready = time.Since(began)
	return s, nil
}

// calm waits until it takes no more of a processor than load, or has not for as long as a start may take.
func (s *served) calm(ctx context.Context, load time.Duration) error {
	busy, err := s.processor()
	tick := time.NewTicker(calmOver)
	defer tick.Stop()
	for deadline := time.Now().Add(readyWithin); err == nil && time.Now().Before(deadline); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		before := busy
		if busy, err = s.processor(); busy-before < load {
			break
		}
	}
	return err
}

// listen reads from its log where it listens, and the rest of it to the end.
func (s *served) listen(logs io.Reader) error {
	lines := bufio.NewScanner(logs)
	var all []string
	for lines.Scan() {
		var line struct{ Msg, Public, Admin string }
		all = append(all, lines.Text())
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Public != "" {
			s.URL, s.admin = line.Public, line.Admin
			go func() {
				_, _ = io.Copy(io.Discard, logs)
				s.ended <- s.cmd.Wait()
			}()
			return nil
		}
	}
	s.ended <- s.cmd.Wait()
	return fmt.Errorf("keyturn serve ended: %s", strings.Join(all, "; "))
}

// status is what /readyz answers; 0 = nothing.
func (s *served) status(ctx context.Context) int {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.admin+"/readyz", nil)
	if err != nil {
		return 0
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	_ = res.Body.Close()
	return res.StatusCode
}

// stop ends it in order and waits for it.
func (s *served) stop() error { return s.end(syscall.SIGTERM) }

// end sends a signal and waits. A process that is killed ends with an error, which is none here.
func (s *served) end(sig syscall.Signal) error {
	if err := s.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	err := <-s.ended
	if sig == syscall.SIGKILL {
		return nil
	}
	return err
}

// memory is a line of /proc/PID/status, in MiB: VmRSS is what it has of the machine's memory, VmHWM the most it had.
func (s *served) memory(line string) (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for l := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(l, line+":"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kib / 1024, err
		}
	}
	return 0, fmt.Errorf("no %s in /proc", line)
}

// ticks is how many of a second the kernel counts processor time in (proc(5), /proc/pid/stat: 100 everywhere).
const ticks = 100

// processor is the time of processors that it has used.
func (s *served) processor() (time.Duration, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(data), ") ") // after the name, which may hold anything
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, errors.New("/proc: a short stat")
	}
	user, uerr := strconv.Atoi(fields[11])
	system, serr := strconv.Atoi(fields[12])
	return time.Duration(user+system) * time.Second / ticks, errors.Join(uerr, serr)
}
