package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"keyturn/internal/config"
	"keyturn/internal/ingest"
	"keyturn/internal/sandbox"
	"keyturn/internal/stream/streamtest"
)

// unsaid stands in settings and must not come back in a message.
const unsaid = "canary-7d1f"

// TestEveryFaultAtOnce starts each process with a configuration that is wrong in many places.
func TestEveryFaultAtOnce(t *testing.T) {
	broken := t.TempDir()
	put(t, broken, config.SourcesFile, `
sources:
  hr-relay: {preset: cloudevent, verify: {standard_webhooks: {secrets: ["`+unsaid+`"]}}}
  siem: {preset: cloudevents, verify: {hmac: {header: X-Signature, secrets: ["${file:nowhere}"]}}}
`)
	put(t, broken, config.ConnectionsFile, `
connections:
  okta-prod: {provider: octa, base_url: https://acme.okta.example, auth: {ssws: "${env:NOT_SET}"}}
`)
	put(t, broken, config.PlaybooksFile, `
playbooks:
  - {name: offboard, on: [user.left], actions: [{step: suspend, do: okta.suspend, at: okta-prod}]}
`)
	for _, c := range []struct {
		name, command string
		args          []string
		settings      []string
		want          []string
	}{
		{"ingest", "ingest", nil,
			[]string{"KEYTURN_CONFIG_DIR=" + broken, "KEYTURN_LISTEN=here", "KEYTURN_SHUTDOWN=-1s", "KEYTURN_LOG_FORMAT=loud"},
			[]string{"KEYTURN_LISTEN", "KEYTURN_SHUTDOWN", "KEYTURN_LOG_FORMAT", "KEYTURN_NATS_URL",
				"sources.yaml:3:", "sources.yaml:4:", "nowhere"}},
		{"worker", "worker", nil,
			[]string{"KEYTURN_CONFIG_DIR=" + broken, "KEYTURN_REPLICAS=2", "KEYTURN_DEPLOYMENT_KEY=" + unsaid, "KEYTURN_NATS_URI=nats://x"},
			[]string{"KEYTURN_REPLICAS", "KEYTURN_DEPLOYMENT_KEY", "KEYTURN_NATS_URL", "KEYTURN_NATS_URI",
				"connections.yaml:3:25: ", "connections.yaml:3:81: ", "NOT_SET", "playbooks.yaml:3:27: ", "playbooks.yaml:3:69: "}},
		{"worker without anything", "worker", nil, nil,
			[]string{"KEYTURN_DEPLOYMENT_KEY", "KEYTURN_NATS_URL", "connections.yaml", "playbooks.yaml"}},
		{"worker with an argument", "worker", []string{"now"}, nil, []string{`"now"`}},
		{"serve without a configuration", "keyturn", []string{"serve"}, nil, []string{"KEYTURN_CONFIG_DIR"}},
		{"serve", "keyturn", []string{"serve"}, []string{"KEYTURN_CONFIG_DIR=" + broken},
			[]string{"sources.yaml:3:", "sources.yaml:4:", "connections.yaml:3:", "playbooks.yaml:3:"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, out, text := run(t, c.command, c.settings, c.args...)
			if code != 2 || out != "" {
				t.Errorf("exit code %d, output %q", code, out)
			}
			for _, want := range c.want {
				if !strings.Contains(text, want) {
					t.Errorf("nothing about %s", want)
				}
			}
			if strings.Contains(text, unsaid) {
				t.Error("a secret is shown")
			}
			if t.Failed() {
				t.Log(text)
			}
		})
	}
}

func TestHelpNamesTheSettings(t *testing.T) {
	for command, args := range map[string][]string{"ingest": {"-help"}, "worker": {"-help"}, "keyturn": {"serve", "--help"}} {
		code, out, text := run(t, command, nil, args...)
		for _, want := range []string{"KEYTURN_CONFIG_DIR", "KEYTURN_ADMIN_LISTEN", "KEYTURN_NATS_TLS_CA", "KEYTURN_LOG_LEVEL"} {
			if code != 0 || !strings.Contains(out+text, want) {
				t.Errorf("%s %s: exit code %d, without %s:\n%s%s", command, args, code, want, out, text)
			}
		}
	}
}

// TestRefusesABrokerThatMayForget: an acknowledgement must survive a power cut, and somebody must know that it does.
func TestRefusesABrokerThatMayForget(t *testing.T) {
	durable, one := newBroker(t, true)
	forgetful, other := newBroker(t, false)
	durable.start(t, one)
	forgetful.start(t, other)
	sources := "KEYTURN_CONFIG_DIR=" + intakeConfig(t)
	dir, _ := workerConfig(t, "http://127.0.0.1:1", sandbox.New(sandbox.Options{}).Credentials())
	worker := []string{"KEYTURN_CONFIG_DIR=" + dir, "KEYTURN_DEPLOYMENT_KEY=a sample key of one deployment", "KEYTURN_REPLICAS=1"}
	for _, c := range []struct {
		name, command string
		settings      []string
		want          string
	}{
		{"ingest, nobody vouches", "ingest", []string{sources, "KEYTURN_NATS_URL=nats://" + durable.Client}, "KEYTURN_NATS_ASSERT_DURABLE=true"},
		{"worker, nobody vouches", "worker", append(worker, "KEYTURN_NATS_URL=nats://"+durable.Client), "KEYTURN_NATS_MONITOR"},
		{"its monitor shows that it forgets", "ingest",
			[]string{sources, "KEYTURN_NATS_URL=nats://" + forgetful.Client, "KEYTURN_NATS_MONITOR=http://" + forgetful.Monitor},
			"set `sync_interval: always`"},
		{"the monitor is another's", "ingest",
			[]string{sources, "KEYTURN_NATS_URL=nats://" + forgetful.Client, "KEYTURN_NATS_MONITOR=http://" + durable.Monitor},
			"does not show the server that is connected"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, _, text := run(t, c.command, c.settings)
			if code != 1 || !strings.Contains(text, c.want) {
				t.Errorf("exit code %d, wanted 1 and %q in:\n%s", code, c.want, text)
			}
		})
	}
}

// TestIngestWithoutStreams: an intake that starts before any worker says so, takes nothing, and begins when the streams
// are there.
func TestIngestWithoutStreams(t *testing.T) {
	t.Parallel()
	b, nats := newBroker(t, true)
	b.start(t, nats)
	dir, public, admin := intakeConfig(t), streamtest.Address(t), streamtest.Address(t)
	vouched := []string{"KEYTURN_NATS_URL=nats://" + b.Client, "KEYTURN_NATS_ASSERT_DURABLE=true"}
	intake := newProc(t, "ingest", func() *exec.Cmd {
		return command(t, "ingest", append([]string{"KEYTURN_CONFIG_DIR=" + dir, "KEYTURN_LISTEN=" + public, "KEYTURN_ADMIN_LISTEN=" + admin}, vouched...))
	})
	intake.admin = admin
	intake.start(t)
	await(t, patience, "the intake to live", func() bool { status, _ := get("http://" + admin + "/livez"); return status == http.StatusOK })
	if status, text := get("http://" + admin + "/readyz?verbose"); status != http.StatusServiceUnavailable ||
		!strings.Contains(text, "stream EVENTS does not exist; a worker creates it") {
		t.Errorf("readyz: %d %s", status, text)
	}
	if resp := post(t, "http://"+public, signers(t, dir)["siem"]); resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("a delivery is answered %s, Retry-After %q", resp.Status, resp.Header.Get("Retry-After"))
	}

	config, _ := workerConfig(t, "http://127.0.0.1:1", sandbox.New(sandbox.Options{}).Credentials())
	worker := newProc(t, "worker", func() *exec.Cmd {
		return command(t, "worker", append([]string{"KEYTURN_CONFIG_DIR=" + config, "KEYTURN_REPLICAS=1", "KEYTURN_ADMIN_LISTEN=127.0.0.1:0",
			"KEYTURN_DEPLOYMENT_KEY=a sample key of one deployment"}, vouched...))
	})
	worker.start(t)
	await(t, patience, "the intake to be ready", intake.ready)
	if resp := post(t, "http://"+public, signers(t, dir)["siem"]); resp.StatusCode != http.StatusAccepted {
		t.Errorf("with the streams a delivery is answered %s", resp.Status)
	}
	worker.stop(t)
	intake.stop(t)
}

// post delivers a sample event.
func post(t *testing.T, url string, spec ingest.SourceSpec) *http.Response {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"specversion": "1.0", "id": "sample-1", "source": "https://siem.acme.example", "type": "dev.keyturn.user.compromised.v1",
		"data": map[string]any{"user": map[string]any{"email": "sam@acme.example"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/hooks/"+spec.Name, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/cloudevents+json")
	if err := ingest.Sign(spec, req, body, "msg_1", time.Now()); err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// TestStopIsBounded: a delivery that does not come to its end holds a stop up for as long as the settings say.
func TestStopIsBounded(t *testing.T) {
	b, nats := newBroker(t, true)
	b.start(t, nats)
	dir, public, admin := intakeConfig(t), streamtest.Address(t), streamtest.Address(t)
	intake := newProc(t, "ingest", func() *exec.Cmd {
		return command(t, "ingest", []string{"KEYTURN_CONFIG_DIR=" + dir, "KEYTURN_LISTEN=" + public, "KEYTURN_ADMIN_LISTEN=" + admin,
			"KEYTURN_SHUTDOWN=200ms", "KEYTURN_DRAIN=0s", "KEYTURN_NATS_URL=nats://" + b.Client, "KEYTURN_NATS_ASSERT_DURABLE=true"})
	})
	intake.start(t)
	metrics := func() string { _, text := get("http://" + admin + "/metrics"); return text }
	await(t, patience, "the intake to live", func() bool { return strings.Contains(metrics(), "keyturn_ingest_in_flight 0") })
	slow, err := net.Dial("tcp", public)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = slow.Close() }()
	if _, err := io.WriteString(slow, "POST /hooks/siem HTTP/1.1\r\nHost: acme.example\r\nX-Signature: sha256=0\r\nX-Timestamp: 1\r\nContent-Length: 1000\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	await(t, patience, "the delivery to be under way", func() bool { return strings.Contains(metrics(), "keyturn_ingest_in_flight 1") })
	if err := intake.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-intake.ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the delivery holds the stop up for more than 10 s, not for 200 ms")
	}
	if code := intake.cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(intake.said(), "not stopped in time") {
		t.Errorf("exit code %d", code)
	}
}
