package reload

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"keyturn/internal/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is a process whose configuration is sources.yaml in a directory.
type house struct {
	t       *testing.T
	dir     string
	watcher *Watcher
	hangup  chan os.Signal

	mu       sync.Mutex
	inForce  string // the first secret of the source hr-relay
	applied  int
	readings func() // runs within each load, after the files were read
	logs     bytes.Buffer
}

// Write implements io.Writer for the log.
func (h *house) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.logs.Write(b)
}

const sample = `sources:
  hr-relay: {preset: cloudevents, verify: {hmac: {header: X-Signature, secrets: ["${file:secrets/hr-relay}"]}}}
`

// open starts a watcher over a configuration that is laid out as Kubernetes mounts one: the files are symlinks through
// a directory that is a symlink itself.
func open(t *testing.T, every time.Duration) *house {
	t.Helper()
	h := &house{t: t, dir: t.TempDir(), hangup: make(chan os.Signal, 1)}
	h.mount("1", sample, "sample-secret-number-1")
	for name, to := range map[string]string{config.SourcesFile: "..data/" + config.SourcesFile, "secrets": "..data/secrets"} {
		if err := os.Symlink(to, filepath.Join(h.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	first := NewReading()
	apply, err := h.load(first.Resolver())
	if err != nil {
		t.Fatal(err)
	}
	apply()
	if h.watcher, err = New(Options{First: first, Load: h.load, Every: every, Hangup: h.hangup,
		Log: slog.New(slog.NewTextHandler(h, nil)), Metrics: prometheus.NewRegistry()}); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- h.watcher.Run(t.Context()) }()
	t.Cleanup(func() {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return h
}

// mount puts a version of the configuration in place in one step, as the kubelet does.
func (h *house) mount(version, sources, secret string) {
	h.t.Helper()
	real := filepath.Join(h.dir, "..version-"+version)
	next := filepath.Join(h.dir, "..data_tmp")
	for _, err := range []error{
		os.MkdirAll(filepath.Join(real, "secrets"), 0o700),
		os.WriteFile(filepath.Join(real, config.SourcesFile), []byte(sources), 0o600),
		os.WriteFile(filepath.Join(real, "secrets", "hr-relay"), []byte(secret), 0o600),
		os.Symlink(filepath.Base(real), next),
		os.Rename(next, filepath.Join(h.dir, "..data")),
	} {
		if err != nil {
			h.t.Fatal(err)
		}
	}
}

func (h *house) load(refs config.Resolver) (func(), error) {
	list, err := config.ReadSources(h.dir, refs)
	h.mu.Lock()
	during := h.readings
	h.mu.Unlock()
	if during != nil {
		during()
	}
	if err != nil {
		return nil, err
	}
	source, _ := list.Find("hr-relay")
	secret := source.Verify.HMAC.Secrets[0].Reveal()
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.inForce, h.applied = secret, h.applied+1
	}, nil
}

func (h *house) state() (inForce string, applied int, logs string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.inForce, h.applied, h.logs.String()
}

// until waits for a condition.
func (h *house) until(what string, ok func() bool) {
	h.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			_, _, logs := h.state()
			h.t.Fatalf("waited in vain for %s\n%s\n%s", what, h.watcher.notes(), logs)
		}
	}
}

func (h *house) now(secret string) func() bool {
	return func() bool { inForce, _, _ := h.state(); return inForce == secret }
}

// TestSwappedSymlink: what Kubernetes does to a mounted configuration is seen, also when only a secret is another.
func TestSwappedSymlink(t *testing.T) {
	h := open(t, 5*time.Millisecond)
	h.mount("2", sample, "sample-secret-number-2")
	h.until("the new secret", h.now("sample-secret-number-2"))
	h.mount("3", "# a comment\n"+sample, "sample-secret-number-3")
	h.until("the new file", h.now("sample-secret-number-3"))
	h.until("both in the log", func() bool { _, _, logs := h.state(); return strings.Count(logs, "configuration loaded") == 2 })
	if _, applied, _ := h.state(); applied != 3 {
		t.Errorf("applied %d times", applied)
	}
	h.until("its version in the notes", func() bool {
		return strings.HasPrefix(h.watcher.notes(), "sources.yaml "+config.Version([]byte("# a comment\n"+sample))+" in force since 20")
	})
	if _, _, logs := h.state(); strings.Contains(logs+h.watcher.notes(), "sample-secret") {
		t.Error("a secret is shown")
	}
}

// TestRefusal: what is wrong changes nothing, and is told once in the log and as long as it lasts in the notes and the
// metric; what the files said before, or something better, ends it.
func TestRefusal(t *testing.T) {
	h := open(t, 5*time.Millisecond)
	refusals := func() int { _, _, logs := h.state(); return strings.Count(logs, "configuration refused") }
	h.mount("2", "sources: {hr-relay: {preset: cloudevent}}\n", "sample-secret-number-2")
	h.until("the refusal", func() bool { return refusals() == 1 })
	h.until("the reason", func() bool { return strings.Contains(h.watcher.notes(), "REFUSED since 20") })
	if notes := h.watcher.notes(); !strings.Contains(notes, `sources.yaml:1:`) || strings.Contains(notes, "\n") ||
		!strings.Contains(notes, "sources.yaml "+config.Version([]byte(sample))+" in force") {
		t.Errorf("notes: %s", notes)
	}
	if got := testutil.ToFloat64(h.watcher.metrics.refused); got != 1 {
		t.Errorf("keyturn_config_refused is %v", got)
	}
	h.mount("3", "sources: {hr-relay: {preset: other}}\n", "sample-secret-number-2")
	h.until("the second refusal", func() bool { return refusals() == 2 })
	if secret, applied, _ := h.state(); secret != "sample-secret-number-1" || applied != 1 {
		t.Errorf("%q is in force, applied %d times", secret, applied)
	}
	h.hangup <- syscall.SIGHUP
	h.until("the answer to who asked", func() bool { return refusals() == 3 })
	h.mount("4", sample, "sample-secret-number-1")
	h.until("the end of the refusal", func() bool { return !strings.Contains(h.watcher.notes(), "REFUSED") })
	if secret, _, _ := h.state(); secret != "sample-secret-number-1" {
		t.Errorf("%q is in force", secret)
	}
	h.until("the metric", func() bool { return testutil.ToFloat64(h.watcher.metrics.refused) == 0 })
	if got := testutil.ToFloat64(h.watcher.metrics.loads.WithLabelValues(resultRefused)); got != 3 {
		t.Errorf("%v refusals counted", got)
	}
}

// TestRefusedUntilItsFileIsThere: a file that is missing ends the refusal when it comes, though nobody read it before.
func TestRefusedUntilItsFileIsThere(t *testing.T) {
	h := open(t, 5*time.Millisecond)
	h.mount("2", strings.ReplaceAll(sample, "secrets/hr-relay", "late"), "sample-secret-number-2")
	h.until("the refusal", func() bool { return strings.Contains(h.watcher.notes(), "does not exist") })
	if err := os.WriteFile(filepath.Join(h.dir, "late"), []byte("sample-secret-number-9"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.until("the secret", h.now("sample-secret-number-9"))
}

// TestHalfAFile: a file that is just being written may be a valid one without its end. It is loaded when two looks, a
// second apart, saw the same, and not in between.
func TestHalfAFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const every = 10 * time.Second
		h := open(t, every)
		time.Sleep(every - time.Millisecond)
		h.mount("2", sample, "sample-secret-half")
		time.Sleep(settle / 2) // one look saw it
		h.mount("3", sample, "sample-secret-whole")
		time.Sleep(settle) // and the next one something else
		synctest.Wait()
		if secret, applied, _ := h.state(); secret != "sample-secret-number-1" || applied != 1 {
			t.Errorf("%q is in force, applied %d times", secret, applied)
		}
		time.Sleep(settle)
		synctest.Wait()
		if secret, applied, _ := h.state(); secret != "sample-secret-whole" || applied != 2 {
			t.Errorf("%q is in force, applied %d times", secret, applied)
		}
	})
}

// TestTakenBack: a refusal ends when the files say again what is in force, and nothing is loaded for it.
func TestTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const every = 10 * time.Second
		h := open(t, every)
		h.mount("2", "sources: {}\n", "sample-secret-number-1")
		time.Sleep(2 * every)
		if !strings.Contains(h.watcher.notes(), "REFUSED") {
			t.Error("not refused: ", h.watcher.notes())
		}
		h.mount("3", sample, "sample-secret-number-1")
		time.Sleep(every + settle)
		synctest.Wait()
		_, applied, logs := h.state()
		if strings.Contains(h.watcher.notes(), "REFUSED") || applied != 1 || !strings.Contains(logs, "in force again as its files say") ||
			testutil.ToFloat64(h.watcher.metrics.refused) != 0 {
			t.Errorf("applied %d times; %s\n%s", applied, h.watcher.notes(), logs)
		}
	})
}

// TestHangup: without polling a signal loads, and nothing else does.
func TestHangup(t *testing.T) {
	h := open(t, 0)
	h.mount("2", sample, "sample-secret-number-2")
	h.hangup <- syscall.SIGHUP
	h.until("the new secret", h.now("sample-secret-number-2"))
}

// TestFilesThatChangeWhileTheyAreRead: what may be half of two configurations is read again, and never put in force.
func TestFilesThatChangeWhileTheyAreRead(t *testing.T) {
	h := open(t, 0)
	reads := 0
	h.mu.Lock()
	h.readings = func() {
		if reads++; reads == 1 {
			h.mount("3", sample, "sample-secret-number-3")
		}
	}
	h.mu.Unlock()
	h.mount("2", sample, "sample-secret-number-2")
	h.hangup <- syscall.SIGHUP
	h.until("the last secret", h.now("sample-secret-number-3"))
	if _, applied, _ := h.state(); applied != 2 || reads != 2 {
		t.Errorf("applied %d times, after %d readings", applied, reads)
	}
}
