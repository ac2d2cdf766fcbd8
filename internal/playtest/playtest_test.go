package playtest

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keyturn/internal/config"
	"keyturn/internal/playbook"
	"keyturn/internal/worker"
)

var update = flag.Bool("update", false, "write the golden files")

// kinds are those that there are.
func kinds() []playbook.Kind { return worker.Kinds() }

const connections = `connections:
  okta: {provider: okta, base_url: https://okta.example, auth: {ssws: "${env:S}"}}
  asa: {provider: asa, base_url: https://asa.example, team: acme, auth: {service_user: {key_id: k, key_secret: "${env:S}"}}}
`

// played runs tests that stand in texts.
func played(t *testing.T, files map[string]string) (Report, error) {
	t.Helper()
	refs := config.Resolver{Unresolved: func(config.Fault) {}, LookupEnv: func(string) (string, bool) { return "", false },
		ReadFile: func(name string) ([]byte, error) {
			if name == "connections.yaml" {
				return []byte(connections), nil
			}
			if text, ok := files[name]; ok {
				return []byte(text), nil
			}
			return nil, fs.ErrNotExist
		}}
	c, err := config.Read("", refs)
	tests, terr := config.ReadPlaybookTests("", refs)
	if err := config.Join(err, terr); err != nil {
		return Report{}, err
	}
	return Run(c.Playbooks, kinds(), tests)
}

// draws writes a report as a person reads it.
func draws(r Report) string {
	var b strings.Builder
	for _, t := range r.Tests {
		fmt.Fprintf(&b, "%s: %v\n", t.Name, len(t.Fault) == 0)
		if len(t.Fault) > 0 {
			fmt.Fprintln(&b, t.Fault)
		}
		for _, line := range t.Diff {
			fmt.Fprintln(&b, "   ", line)
		}
	}
	for _, rule := range r.Rules {
		fmt.Fprintf(&b, "%d: %s: %v %s\n", rule.At.Line, rule.What, rule.Tried, rule.Idle)
	}
	rules, tried := r.Counts()
	fmt.Fprintf(&b, "%d failed, %d of %d rules, %.1f %%\n", r.Failed(), tried, rules, r.Coverage())
	return b.String()
}

// TestReports holds what is said of tests that hold and of such as do not against golden files.
func TestReports(t *testing.T) {
	playbooks, err := os.ReadFile("testdata/playbooks.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"differ", "hold", "faulty"} {
		t.Run(name, func(t *testing.T) {
			tests, err := os.ReadFile("testdata/" + name + ".yaml")
			if err != nil {
				t.Fatal(err)
			}
			report, err := played(t, map[string]string{
				"playbooks.yaml": string(playbooks), "playbooks_test.yaml": string(tests),
				"leaver.json": `{"specversion": "1.0", "type": "dev.keyturn.user.terminated.v1", "id": "e-1", "source": "https://hr.acme.example", "data": {"user": {"email": "maria@acme.example"}}}`,
				"short.json":  `{"type": "user.terminated", "data": {"user": {"email": "maria@acme.example"}}}`,
				"broken.json": `{"type": `, "empty.json": `{}`,
			})
			got := draws(report)
			if err != nil {
				got = err.Error() + "\n"
			}
			file := filepath.Join("testdata", name+".golden")
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
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

// TestDefaultSet: the tests of the default playbooks hold, and they try every rule that can be tried.
func TestDefaultSet(t *testing.T) {
	const dir = "../../deploy/config"
	refs := config.Resolver{Unresolved: func(config.Fault) {}}
	c, err := config.Read(dir, refs)
	tests, terr := config.ReadPlaybookTests(dir, refs)
	if err := config.Join(err, terr); err != nil {
		t.Fatal(err)
	}
	report, err := Run(c.Playbooks, kinds(), tests)
	if err != nil {
		t.Fatal(err)
	}
	if report.Failed() > 0 || report.Coverage() < 100 || len(report.Tests) < 12 {
		t.Error(draws(report))
	}
}

// TestFaultyPlaybooks: nothing is tested with playbooks that do not compile.
func TestFaultyPlaybooks(t *testing.T) {
	_, err := played(t, map[string]string{
		"playbooks.yaml":      "playbooks: [{name: p, on: [user.terminated], when: event.nothing, actions: [{step: s, do: okta.suspend_user, at: okta, with: {user: 1}}]}]\n",
		"playbooks_test.yaml": "tests: []\n",
	})
	if err == nil || !strings.Contains(err.Error(), "undefined field 'nothing'") {
		t.Errorf("got %v", err)
	}
}
