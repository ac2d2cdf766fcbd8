package config

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// clearSettings unsets every setting of the machine for the length of a test.
func clearSettings(t *testing.T) {
	t.Helper()
	for _, name := range append(names(), "CREDENTIALS_DIRECTORY") {
		if v, ok := os.LookupEnv(name); ok {
			t.Setenv(name, v) // restores it afterwards
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestLocalDefaults(t *testing.T) {
	clearSettings(t)
	got, err := LocalFromEnv()
	if err != nil {
		t.Fatal(err)
	}
	want := Local{
		Reload: 10 * time.Second, Listen: "127.0.0.1:8480", AdminListen: "127.0.0.1:8481", Shutdown: 20 * time.Second, Store: ".keyturn",
		Durability: Group, StoreMaxBytes: 8 << 30, Log: Log{Level: slog.LevelInfo, Format: JSON},
	}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// A drain is a part of the stop.
func TestDrainFitsIntoTheStop(t *testing.T) {
	for _, c := range []struct{ drain, shutdown, want string }{
		{"0s", "20s", ""},
		{"19s", "20s", ""},
		{"20s", "20s", "KEYTURN_DRAIN: must be shorter than KEYTURN_SHUTDOWN"},
		{"-1s", "20s", "KEYTURN_DRAIN: must not be negative"},
		{"soon", "20s", "KEYTURN_DRAIN: cannot be read"},
	} {
		clearSettings(t)
		t.Setenv("KEYTURN_NATS_URL", "nats://a:1")
		t.Setenv("KEYTURN_DRAIN", c.drain)
		t.Setenv("KEYTURN_SHUTDOWN", c.shutdown)
		_, err := IngestFromEnv()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.drain, err)
		}
	}
}

func TestReloadIsNoNegativeSpan(t *testing.T) {
	clearSettings(t)
	t.Setenv("KEYTURN_RELOAD", "-1s")
	if _, err := LocalFromEnv(); err == nil || !strings.Contains(err.Error(), "KEYTURN_RELOAD: must not be negative") {
		t.Errorf("got %v", err)
	}
}

func TestEverySettingIsRead(t *testing.T) {
	clearSettings(t)
	set := map[string]string{
		"KEYTURN_CONFIG_DIR": "/etc/k", "KEYTURN_ADMIN_LISTEN": "[::1]:1", "KEYTURN_SHUTDOWN": "3s", "KEYTURN_RELOAD": "0s",
		"KEYTURN_DEPLOYMENT_KEY": "0123456789abcdef", "KEYTURN_REPLICAS": "5",
		"KEYTURN_NATS_URL": "nats://a:1, tls://b:2", "KEYTURN_NATS_CREDS": "c.creds",
		"KEYTURN_NATS_MONITOR": "http://a:8222", "KEYTURN_NATS_ASSERT_DURABLE": "true",
		"KEYTURN_NATS_TLS_CA": "ca.pem", "KEYTURN_NATS_TLS_CERT": "cert.pem", "KEYTURN_NATS_TLS_KEY": "key.pem",
		"KEYTURN_LOG_LEVEL": "debug", "KEYTURN_LOG_FORMAT": "text",
	}
	for k, v := range set {
		t.Setenv(k, v)
	}
	got, err := WorkerFromEnv()
	if err != nil {
		t.Fatal(err)
	}
	if got.DeploymentKey.Reveal() != "0123456789abcdef" {
		t.Error("the deployment key was not read")
	}
	got.DeploymentKey = Worker{}.DeploymentKey
	want := Worker{
		ConfigDir: "/etc/k", AdminListen: "[::1]:1", Shutdown: 3 * time.Second, Replicas: 5,
		NATS: NATS{URL: "nats://a:1, tls://b:2", Creds: "c.creds", Monitor: "http://a:8222", AssertDurable: true,
			TLS: TLS{CA: "ca.pem", Cert: "cert.pem", Key: "key.pem"}},
		Log: Log{Level: slog.LevelDebug, Format: PlainText},
	}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

const canary = "s3cr3t-canary"

func TestAllFaultsOfTheEnvironmentAtOnce(t *testing.T) {
	clearSettings(t)
	for k, v := range map[string]string{
		"KEYTURN_LISTEN": canary, "KEYTURN_ADMIN_LISTEN": "127.0.0.1:99999", "KEYTURN_STORE": " ",
		"KEYTURN_DURABILITY": canary, "KEYTURN_STORE_MAX_BYTES": "9" + canary, "KEYTURN_SHUTDOWN": "-1s",
		"KEYTURN_DEPLOYMENT_KEY": "short-" + canary[:3], "KEYTURN_LOG_LEVEL": canary, "KEYTURN_LOG_FORMAT": "xml",
		"KEYTURN_NATS_URL": "nats://user:" + canary + "@a:1,http://b", "KEYTURN_NATS_CONTEXT": "c",
		"KEYTURN_NATS_NKEY": "n", "KEYTURN_NATS_CREDS": "c", "KEYTURN_NATS_TLS_KEY": "k", "KEYTURN_TLS_KEY": "k", "KEYTURN_TLS_CLIENT_CA": "a",
		"KEYTURN_OUTCOME_URL": "http://elsewhere.example/" + canary, "KEYTURN_OUTCOME_SECRET": canary, "KEYTURN_OUTCOME_ONLY": "case.*," + canary,
		"KEYTURN_NATS_MONITOR": canary, "KEYTURN_NATS_ASSERT_DURABLE": canary, "KEYTURN_LISTNE": canary,
		"KEYTURN_SERVICE_HOST": "10.0.0.1", "KEYTURN_PORT_8480_TCP": "tcp://10.0.0.1:8480",
	} {
		t.Setenv(k, v)
	}
	_, err := LocalFromEnv()
	if err == nil {
		t.Fatal("no fault")
	}
	golden(t, "testdata/environment.golden", err.Error())
}

// TestTheToolNeedsNoSecretOfTheProcess that it asks: neither a missing one nor one that it may not read keeps whoever is
// on call from looking.
func TestTheToolNeedsNoSecretOfTheProcess(t *testing.T) {
	clearSettings(t)
	t.Setenv("KEYTURN_OUTCOME_URL", "https://siem.acme.example/keyturn")
	t.Setenv("KEYTURN_OUTCOME_SECRET_FILE", filepath.Join(t.TempDir(), "of-the-service-alone"))
	t.Setenv("KEYTURN_STORE", "/var/lib/keyturn")
	if _, err := LocalFromEnv(); err == nil {
		t.Error("a process starts without its secret")
	}
	if s, err := ToolFromEnv(); err != nil || s.Store != "/var/lib/keyturn" {
		t.Errorf("%q, %v", s.Store, err)
	}
	t.Setenv("KEYTURN_NATS_URL", "http://nats")
	if _, err := ToolFromEnv(); err == nil {
		t.Error("an address that is none is taken")
	}
}

func TestRequiredSettings(t *testing.T) {
	clearSettings(t)
	_, ingest := IngestFromEnv()
	_, worker := WorkerFromEnv()
	golden(t, "testdata/required.golden", "ingest\n"+ingest.Error()+"\nworker\n"+worker.Error())
}

func TestSecretFromFiles(t *testing.T) {
	clearSettings(t)
	dir := t.TempDir()
	file := filepath.Join(dir, CredentialName("KEYTURN_DEPLOYMENT_KEY"))
	if err := os.WriteFile(file, []byte("0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, value string }{
		{"KEYTURN_DEPLOYMENT_KEY_FILE", file},
		{"CREDENTIALS_DIRECTORY", dir},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv(c.name, c.value)
			got, err := LocalFromEnv()
			if err != nil || got.DeploymentKey.Reveal() != "0123456789abcdef" {
				t.Errorf("got key of %d bytes, error %v", len(got.DeploymentKey.Reveal()), err)
			}
		})
	}
	t.Run("both", func(t *testing.T) {
		t.Setenv("KEYTURN_DEPLOYMENT_KEY", canary)
		t.Setenv("KEYTURN_DEPLOYMENT_KEY_FILE", file)
		if _, err := LocalFromEnv(); err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("missing", func(t *testing.T) {
		t.Setenv("KEYTURN_DEPLOYMENT_KEY_FILE", filepath.Join(dir, "none"))
		if _, err := WorkerFromEnv(); err == nil || strings.Contains(err.Error(), "DEPLOYMENT_KEY: is missing") {
			t.Errorf("got %v", err)
		}
	})
}

func TestUsage(t *testing.T) {
	var b strings.Builder
	for _, spec := range []any{&Ingest{}, &Worker{}, &Local{}} {
		if err := Usage(&b, spec); err != nil {
			t.Fatal(err)
		}
		b.WriteString("\n")
	}
	golden(t, "testdata/usage.golden", b.String())
	if err := Usage(&b, Local{}); err == nil {
		t.Error("a struct by value was accepted")
	}
}

func TestBytes(t *testing.T) {
	for text, want := range map[string]Bytes{"1": 1, "1024": 1024, "3KiB": 3 << 10, "2 MiB": 2 << 20, "8GiB": 8 << 30, "1TiB": 1 << 40} {
		var b Bytes
		if err := b.UnmarshalText([]byte(text)); err != nil || b != want {
			t.Errorf("%s: got %d, %v", text, b, err)
		}
		var again Bytes
		if err := again.UnmarshalText([]byte(b.String())); err != nil || again != b {
			t.Errorf("%s: %s does not read back", text, b)
		}
	}
	for _, text := range []string{"", "0", "-1", "1.5GiB", "9999999TiB", "1GB"} {
		var b Bytes
		if err := b.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q was accepted as %d", text, b)
		}
	}
}

// golden compares with a file of testdata; -update writes it.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if strings.Contains(got, canary) {
		t.Fatalf("the value of a secret stands in:\n%s", got)
	}
	got = strings.TrimRight(got, "\n") + "\n"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}
