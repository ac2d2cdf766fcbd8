package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"keyturn/internal/config"
	"keyturn/internal/sandbox"
	"keyturn/internal/stream/streamtest"
)

// watched is a process whose configuration is changed while it runs.
type watched struct {
	*proc
	t *testing.T
}

// verbose gives what the process says of its readiness; it must be ready.
func (w watched) verbose() string {
	w.t.Helper()
	status, text := get("http://" + w.admin + "/readyz?verbose")
	if status != http.StatusOK {
		w.t.Fatalf("%s is not ready: %d %s", w.name, status, text)
	}
	return text
}

// says waits until the process says of its readiness what is wanted.
func (w watched) says(want string) {
	w.t.Helper()
	await(w.t, patience, w.name+" to say "+want, func() bool { return strings.Contains(w.verbose(), want) })
}

// replace puts a file in the place of another in one step, as editors and the kubelet do.
func replace(t *testing.T, dir, name, content string) {
	t.Helper()
	if err := os.Rename(put(t, dir, name+".new", content), filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

// version is the short name of what stands in a file.
func version(t *testing.T, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return name + " " + config.Version(b)
}

// TestChangedConfiguration: `keyturn serve` takes over what its files say while it runs, and what is wrong in them
// changes nothing.
func TestChangedConfiguration(t *testing.T) {
	t.Parallel()
	dir, _ := workerConfig(t, "http://127.0.0.1:1", sandbox.New(sandbox.Options{}).Credentials())
	sources := intakeConfig(t)
	for _, name := range []string{config.SourcesFile, "hr-relay.secret", "siem.secret"} {
		b, err := os.ReadFile(filepath.Join(sources, name))
		if err != nil {
			t.Fatal(err)
		}
		put(t, dir, name, string(b))
	}
	public, admin, store := streamtest.Address(t), streamtest.Address(t), filepath.Join(t.TempDir(), "store")
	p := newProc(t, "serve", func() *exec.Cmd {
		return command(t, "keyturn", []string{"KEYTURN_CONFIG_DIR=" + dir, "KEYTURN_LISTEN=" + public, "KEYTURN_ADMIN_LISTEN=" + admin,
			"KEYTURN_STORE=" + store, "KEYTURN_STORE_MAX_BYTES=1GiB", "KEYTURN_RELOAD=50ms"}, "serve")
	})
	p.admin = admin
	p.start(t)
	await(t, patience, "serve to be ready", p.ready)
	w := watched{p, t}
	w.says(version(t, dir, config.PlaybooksFile))

	// A secret is rotated: the old signature counts no more.
	old := signers(t, dir)["siem"]
	replace(t, dir, "siem.secret", "the next sample secret of acme.example")
	rotated := signers(t, dir)["siem"]
	await(t, patience, "the rotated secret to be taken", func() bool {
		return post(t, "http://"+public, rotated).StatusCode == http.StatusAccepted
	})
	if resp := post(t, "http://"+public, old); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("signed with the old secret it is answered %s", resp.Status)
	}

	// Playbooks that are wrong change nothing, and say so.
	good, err := os.ReadFile(filepath.Join(dir, config.PlaybooksFile))
	if err != nil {
		t.Fatal(err)
	}
	inForce := version(t, dir, config.PlaybooksFile)
	replace(t, dir, config.PlaybooksFile, strings.Replace(string(good), "okta.suspend_user", "okta.suspend_usr", 1))
	w.says("what the files say is REFUSED since 20")
	if text := w.verbose(); !strings.Contains(text, inForce) || !strings.Contains(text, "playbooks.yaml:6:") || !strings.Contains(text, "okta.suspend_user") {
		t.Errorf("readyz?verbose:\n%s", text)
	}
	if _, text := get("http://" + admin + "/metrics"); !strings.Contains(text, "keyturn_config_refused 1") {
		t.Error("the metric does not show the refusal")
	}
	if !strings.Contains(p.said(), "configuration refused: the one before stays in force") {
		t.Error("the log does not show the refusal")
	}

	// Better ones are taken, and stand in what they plan.
	replace(t, dir, config.PlaybooksFile, string(good)+`
  - name: compromised
    on: [user.compromised]
    actions:
      - {step: sessions, do: okta.clear_sessions, at: okta-prod, with: {user: "${{ event.data.user }}"}}
`)
	w.says(version(t, dir, config.PlaybooksFile) + ", ")
	if text := w.verbose(); strings.Contains(text, "REFUSED") {
		t.Errorf("readyz?verbose:\n%s", text)
	}
	id := sendSample(t, dir, public, "compromised-2")
	var view struct {
		Decision struct{ Config string }
	}
	await(t, patience, "the case to be planned", func() bool {
		code, out, _ := run(t, "keyturn", nil, "case", id, "--json", "--store", store)
		return code == 0 && json.Unmarshal([]byte(out), &view) == nil && view.Decision.Config != ""
	})
	if want := version(t, dir, config.PlaybooksFile); "playbooks.yaml "+view.Decision.Config != want {
		t.Errorf("planned by %s, in force is %s", view.Decision.Config, want)
	}
	p.stop(t)
}

// sendSample sends an event under a new id, and gives its case.
func sendSample(t *testing.T, dir, public, event string) string {
	t.Helper()
	file := put(t, t.TempDir(), "event.json", `{"type":"user.compromised","id":"`+event+`","data":{"user":{"email":"sam@acme.example"}}}`)
	code, out, text := run(t, "keyturn", []string{"KEYTURN_CONFIG_DIR=" + dir}, "send", file, "--source", "siem", "--url", "http://"+public)
	if code != 0 {
		t.Fatalf("send: exit code %d: %s", code, text)
	}
	return strings.TrimSpace(out)
}

// TestHangup: ingest and worker load what changed when they are told to, without looking by themselves.
func TestHangup(t *testing.T) {
	t.Parallel()
	b, nats := newBroker(t, true)
	b.start(t, nats)
	vouched := []string{"KEYTURN_NATS_URL=nats://" + b.Client, "KEYTURN_NATS_ASSERT_DURABLE=true", "KEYTURN_RELOAD=0s"}
	dir, public := intakeConfig(t), streamtest.Address(t)
	work, _ := workerConfig(t, "http://127.0.0.1:1", sandbox.New(sandbox.Options{}).Credentials())
	processes := map[string]watched{}
	for name, settings := range map[string][]string{
		"ingest": {"KEYTURN_CONFIG_DIR=" + dir, "KEYTURN_LISTEN=" + public},
		"worker": {"KEYTURN_CONFIG_DIR=" + work, "KEYTURN_REPLICAS=1", "KEYTURN_DEPLOYMENT_KEY=a sample key of one deployment"},
	} {
		admin := streamtest.Address(t)
		p := newProc(t, name, func() *exec.Cmd {
			return command(t, name, append(append(settings, "KEYTURN_ADMIN_LISTEN="+admin), vouched...))
		})
		p.admin = admin
		p.start(t)
		processes[name] = watched{p, t}
	}
	for _, w := range processes {
		await(t, patience, w.name+" to be ready", w.ready)
	}
	replace(t, dir, config.SourcesFile, `
sources:
  new-relay: {preset: cloudevents, verify: {standard_webhooks: {secrets: ["${file:hr-relay.secret}"]}}}
`)
	replace(t, work, config.PlaybooksFile, "playbooks: []\n")
	for _, w := range processes {
		if err := w.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	processes["ingest"].says(version(t, dir, config.SourcesFile))
	processes["worker"].says(version(t, work, config.PlaybooksFile))
	if resp := post(t, "http://"+public, signers(t, dir)["new-relay"]); resp.StatusCode != http.StatusAccepted {
		t.Errorf("the new source is answered %s", resp.Status)
	}
	for _, w := range processes {
		w.stop(t)
	}
}
