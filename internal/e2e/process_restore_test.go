package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keyturn/internal/config"
	"keyturn/internal/sandbox"
	"keyturn/internal/stream/streamtest"
)

// solo is `keyturn serve` under a supervisor, as docs/OPERATIONS.md has it, with the sandbox for its providers.
type solo struct {
	t       *testing.T
	sb      *sandbox.Sandbox
	company company
	serve   *proc
	config  string
	public  string
	env     []string // in which the documented steps run
	store   string
}

func newSolo(t *testing.T) *solo {
	t.Helper()
	o := &solo{t: t, sb: sandbox.New(sandbox.Options{Limits: sandbox.Unlimited()}), public: streamtest.Address(t)}
	o.company = populate(o.sb)
	provider := httptest.NewServer(o.sb)
	t.Cleanup(provider.Close)
	o.config, _ = workerConfig(t, provider.URL, o.sb.Credentials())
	sources := intakeConfig(t)
	for _, name := range []string{config.SourcesFile, "hr-relay.secret", "siem.secret"} {
		b, err := os.ReadFile(filepath.Join(sources, name))
		if err != nil {
			t.Fatal(err)
		}
		put(t, o.config, name, string(b))
	}
	dir := t.TempDir()
	o.store = filepath.Join(dir, "store")
	o.env = []string{"KEYTURN_STORE=" + o.store, "KEYTURN_CONFIG_DIR=" + o.config, "BACKUP=" + filepath.Join(dir, "backup")}
	admin := streamtest.Address(t)
	o.serve = newProc(t, "serve", func() *exec.Cmd {
		return command(t, "keyturn", append([]string{"KEYTURN_LISTEN=" + o.public, "KEYTURN_ADMIN_LISTEN=" + admin,
			"KEYTURN_STORE_MAX_BYTES=1GiB"}, o.env...), "serve")
	})
	o.serve.admin = admin
	return o
}

// start starts it and waits until it can do its job.
func (o *solo) start() {
	o.t.Helper()
	o.serve.start(o.t)
	await(o.t, patience, "serve to be ready", o.serve.ready)
}

// follow runs the command lines below a heading of docs/OPERATIONS.md, one after the other, in a shell. What they tell
// the supervisor the test does: it is the supervisor.
func (o *solo) follow(heading string) {
	o.t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "OPERATIONS.md"))
	if err != nil {
		o.t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n### "+heading+"\n")
	_, block, fenced := strings.Cut(section, "\n```\n")
	block, _, closed := strings.Cut(block, "\n```\n")
	if !found || !fenced || !closed {
		o.t.Fatalf("docs/OPERATIONS.md has no steps below %q", heading)
	}
	for line := range strings.Lines(block) {
		step, ok := strings.CutPrefix(strings.TrimSpace(line), "$ ")
		switch {
		case !ok:
			o.t.Fatalf("%s: %q is no step", heading, line)
		case step == "systemctl stop keyturn" && o.serve.alive():
			o.serve.stop(o.t)
		case step == "systemctl stop keyturn":
		case step == "systemctl start keyturn":
			o.start()
		default:
			o.shell(step)
		}
	}
}

// shell runs one command line.
func (o *solo) shell(line string) {
	o.t.Helper()
	dir, err := built()
	if err != nil {
		o.t.Fatal(err)
	}
	cmd := exec.Command("sh", "-e", "-u", "-c", line)
	cmd.Env = append([]string{"PATH=" + dir + ":" + os.Getenv("PATH"), "HOME=" + o.t.TempDir()}, o.env...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Run(); err != nil {
		o.t.Fatalf("$ %s: %v\n%s", line, err, said.String())
	}
}

// send sends an event, and gives its case.
func (o *solo) send(event string) string {
	o.t.Helper()
	file := put(o.t, o.t.TempDir(), "event.json", event)
	code, out, text := run(o.t, "keyturn", o.env, "send", file, "--source", "hr-relay", "--url", "http://"+o.public)
	if code != 0 {
		o.t.Fatalf("send: exit code %d: %s", code, text)
	}
	return strings.TrimSpace(out)
}

// leave makes the termination of a person, at once or at a time.
func leave(id string, who colleague, at time.Time) string {
	when := ""
	if !at.IsZero() {
		when = fmt.Sprintf(`,"effective_at":%q`, at.Format(time.RFC3339))
	}
	return fmt.Sprintf(`{"type":"user.terminated","id":%q,"data":{"user":{"email":%q}%s}}`, id, who.login, when)
}

// caseOf reads a case; found is false where the ledger knows none.
func (o *solo) caseOf(id string) (v caseSeen, found bool) {
	o.t.Helper()
	code, out, text := run(o.t, "keyturn", o.env, "case", id, "--json")
	if code == 3 {
		return v, false
	}
	if err := json.Unmarshal([]byte(out), &v); code != 0 || err != nil {
		o.t.Fatalf("case %s: exit code %d, %v: %s", id, code, err, text)
	}
	return v, true
}

// caseSeen is what the test wants to know of a case.
type caseSeen struct {
	State, Plan string
	Actions     []struct {
		Step, State string
		Applied     []struct{ Call string }
	}
}

// state is where a step of the case stands.
func (v caseSeen) state(step string) string {
	for _, a := range v.Actions {
		if a.Step == step {
			return a.State
		}
	}
	return ""
}

// closed waits until a case is closed, and reads it.
func (o *solo) closed(id string) (v caseSeen) {
	o.t.Helper()
	code, _, text := run(o.t, "keyturn", o.env, "case", id, "--watch")
	if v, _ = o.caseOf(id); code != 0 || !strings.HasPrefix(v.State, "closed") {
		o.t.Fatalf("case %s is %s: exit code %d: %s", id, v.State, code, text)
	}
	return v
}

// halfDone waits until a termination is done at Okta, and waits for ASA.
func (o *solo) halfDone(id string) {
	o.t.Helper()
	await(o.t, patience, "the termination to be half done", func() bool {
		if o.sb.Faults()[0].Struck == 0 {
			return false
		}
		v, _ := o.caseOf(id)
		return v.state("tokens") == "verified" && v.state("devices") == "waiting"
	})
}

// TestBackupAndRestore follows docs/OPERATIONS.md to the letter. At the time of the backup one termination is half done,
// one is still to come, and an app has no client yet; all of that is finished, and another person leaves, before the
// store is lost.
func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs the real command")
	}
	o := newSolo(t)
	half, whole, future := o.company.leavers[0], o.company.leavers[1], o.company.leavers[2]
	o.start()
	down := []string{
		o.fault(sandbox.Fault{Method: http.MethodDelete, Path: "/asa/v1/**", Kind: sandbox.KindStatus, Status: 502, Times: -1}),
		o.fault(sandbox.Fault{Method: http.MethodPost, Path: "/mosaic/cis/**", Kind: sandbox.KindStatus, Status: 502, Times: -1}),
	}
	first := o.send(leave("hr-1", half, time.Time{}))
	app := o.send(`{"type":"app.onboarded","id":"hr-2","data":{"app":{"key":"wiki","name":"Wiki","redirect_uris":["https://wiki.acme.example/cb"],"role_ids":["reader"]}}}`)
	later := o.send(leave("hr-3", future, time.Now().Add(48*time.Hour)))
	o.halfDone(first)

	o.follow("Back up")
	o.sb.ClearFaults(down...)
	lost := o.send(leave("hr-4", whole, time.Time{}))
	for _, id := range []string{first, app, lost} {
		o.closed(id)
	}
	o.serve.kill()
	if err := os.RemoveAll(filepath.Join(o.store, "jetstream")); err != nil {
		t.Fatal(err)
	}

	o.follow("Restore")
	o.closed(first)
	o.closed(app)
	if v, _ := o.caseOf(later); v.Plan != "scheduled" {
		t.Errorf("what was to come is %s", v.Plan)
	}
	if _, known := o.caseOf(lost); known {
		t.Error("what came after the backup is known")
	}
	if again := o.send(leave("hr-4", whole, time.Time{})); again != lost {
		t.Errorf("sent again it is case %s, was %s", again, lost)
	}
	for _, a := range o.closed(lost).Actions {
		if len(a.Applied) > 0 && a.Step != "sessions" { // nobody can read sessions: they are ended again
			t.Errorf("%s was done again: %+v", a.Step, a.Applied)
		}
	}
	o.wantOnce(1)
	o.follow("Restore") // and the same copy serves again
	o.serve.stop(t)
	o.wantNoKey()
}

// fault arms a fault and gives its id.
func (o *solo) fault(f sandbox.Fault) string {
	o.t.Helper()
	id, err := o.sb.Fault(f)
	if err != nil {
		o.t.Fatal(err)
	}
	return id
}

// wantOnce wants every effect at the providers once, and so many clients of the app.
func (o *solo) wantOnce(clients int) {
	o.t.Helper()
	seen := map[string]bool{}
	for _, effect := range o.sb.Journal().Effects() {
		if seen[effect] {
			o.t.Errorf("%s happened twice", effect)
		}
		seen[effect] = true
	}
	if n := len(o.sb.Snapshot().Mosaic.Named("Wiki")); n != clients {
		o.t.Errorf("the app has %d clients", n)
	}
}

// wantNoKey takes the deployment key out of the store: it does not start with another one, and says what to do.
func (o *solo) wantNoKey() {
	o.t.Helper()
	if err := os.Remove(filepath.Join(o.store, "deployment.key")); err != nil {
		o.t.Fatal(err)
	}
	code, _, text := run(o.t, "keyturn", append([]string{"KEYTURN_LISTEN=127.0.0.1:0", "KEYTURN_ADMIN_LISTEN=127.0.0.1:0"}, o.env...), "serve")
	if code != 1 || !strings.Contains(text, "deployment.key back from the backup") || !strings.Contains(text, "KEYTURN_DEPLOYMENT_KEY_FILE") {
		o.t.Errorf("without its key: exit code %d: %s", code, text)
	}
}
