package playtest

import (
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"

	"keyturn/internal/config"
	"keyturn/internal/playbook"
)

// fences finds the samples of a document.
var fences = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")

// TestDocument runs every sample of docs/PLAYBOOKS.md: playbooks compile against the default connections, and the tests
// behind them hold.
func TestDocument(t *testing.T) {
	text, err := os.ReadFile("../../docs/PLAYBOOKS.md")
	if err != nil {
		t.Fatal(err)
	}
	connections, err := os.ReadFile("../../deploy/config/connections.yaml")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"connections.yaml": string(connections)}
	refs := config.Resolver{Unresolved: func(config.Fault) {}, LookupEnv: func(string) (string, bool) { return "", false },
		ReadFile: func(name string) ([]byte, error) {
			if text, ok := files[name]; ok {
				return []byte(text), nil
			}
			return nil, fs.ErrNotExist
		}}
	samples, tested := 0, 0
	for _, m := range fences.FindAllStringSubmatchIndex(string(text), -1) {
		sample := string(text[m[2]:m[3]])
		first, _, _ := strings.Cut(sample, "\n")
		line := 2 + strings.Count(string(text[:m[0]]), "\n")
		switch {
		case !strings.HasPrefix(first, "# yaml-language-server: $schema=../schemas/config/"):
			t.Errorf("line %d: the sample does not name its schema in its first line", line)
		case strings.Contains(first, "/playbooks.json"):
			samples++
			files["playbooks.yaml"] = sample
			c, err := config.Read("", refs)
			if _, cerr := playbook.Compile(c.Playbooks, kinds()); err != nil || cerr != nil {
				t.Errorf("line %d: %v", line, config.Join(err, cerr))
			}
		case strings.Contains(first, "/playbooks_test.json"):
			tested++
			files["playbooks_test.yaml"] = sample
			c, err := config.Read("", refs)
			tests, terr := config.ReadPlaybookTests("", refs)
			if err := config.Join(err, terr); err != nil {
				t.Errorf("line %d: %v", line, err)
				continue
			}
			report, err := Run(c.Playbooks, kinds(), tests)
			if err != nil || report.Failed() > 0 {
				t.Errorf("line %d: %v\n%s", line, err, draws(report))
			}
		default:
			t.Errorf("line %d: %s: no such sample is known", line, first)
		}
	}
	if samples < 4 || tested < 4 {
		t.Errorf("%d samples and %d tests: has the form of the document changed?", samples, tested)
	}
}
