// Package internal_test holds the rule of who may import whom against what `go list` says (docs/ARCHITECTURE.md,
// "Packages, and who may import whom").
package internal_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// pkg is what go list says of one package. Imports are its own, without those of its tests; Deps all that it links.
type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

const module = "keyturn/"

// mayImport lists, for every package, which of ours it may import itself. Everyone may import the leaves.
// A package that stands here under no name may import what it likes: it puts the others together.
var mayImport = map[string][]string{
	"schemas":                    {},
	"deploy":                     {},
	"internal/secret":            {},
	"internal/shield":            {},
	"internal/sandbox":           {},
	"internal/ledger":            {},
	"internal/ledger/ledgertest": {"internal/ledger"},
	"internal/crowd":             {},
	"internal/admin":             {"internal/crowd"},
	"internal/events":            {"schemas"},
	"internal/ingest/presets":    {},
	"internal/config":            {"schemas", "internal/ingest/presets"},
	"internal/expr":              {"internal/config"},
	"internal/playbook":          {"internal/config", "internal/events", "internal/expr"},
	"internal/mapping":           {"internal/config", "internal/events", "internal/expr"},
	"internal/playtest":          {"internal/config", "internal/events", "internal/playbook"},
	"internal/people":            {"internal/events"},
	"internal/replay":            {"internal/events", "internal/people", "internal/playbook"},
	"internal/reload":            {"internal/admin", "internal/config"},
	"internal/ingest":            {"internal/config", "internal/crowd", "internal/events", "internal/mapping"},
	"internal/stream":            {"internal/events", "internal/ledger"},
	"internal/stream/embedded":   {"internal/stream"},
	"internal/stream/streamtest": {"internal/stream", "internal/stream/embedded"},
	"internal/view":              {"internal/events", "internal/ledger", "internal/people"},
	"internal/outcome":           {"internal/config", "internal/events", "internal/ledger", "internal/stream"},
	"internal/planner":           {"internal/events", "internal/ledger", "internal/people", "internal/playbook", "internal/stream"},
	"internal/apiclient":         {},
	"internal/apiclient/*":       {"internal/apiclient"},
	"internal/actions":           {"internal/apiclient", "internal/apiclient/*", "internal/events", "internal/ledger"},
	"internal/reads":             {"internal/apiclient", "internal/apiclient/*"},
	"internal/lane":              {"internal/actions", "internal/apiclient", "internal/events", "internal/ledger", "internal/stream"},
}

// leaves are what anybody may import who does not stand alone.
var leaves = []string{"internal/secret", "internal/shield"}

// Those that share no code but what stands above, also not a leaf.
var alone = []string{"schemas", "deploy", "internal/secret", "internal/shield", "internal/sandbox", "internal/ledger", "internal/ledger/ledgertest",
	"internal/crowd", "internal/admin", "internal/events"}

const (
	nats   = "github.com/nats-io/nats.go"
	server = "github.com/nats-io/nats-server/v2"
)

// barred lists what must not be linked, by whom, and why.
var barred = []struct {
	who, what []string
	why       string
}{
	{[]string{"cmd/ingest"}, []string{module + "internal/apiclient", module + "internal/actions", server},
		"the public face cannot hold or use a provider's credential"},
	{[]string{"cmd/worker"}, []string{server}, "an external broker is a process of its own"},
	{[]string{"internal/ingest"}, []string{module + "internal/apiclient", module + "internal/actions", module + "internal/ledger", nats},
		"the intake knows who may send what, and nothing of what follows"},
	{[]string{"internal/playbook", "internal/replay", "internal/actions", "internal/reads"}, []string{nats}, "rules and kinds are tested without a broker"},
	{[]string{"internal/planner"}, []string{module + "internal/apiclient", module + "internal/actions"},
		"who decides cannot act"},
}

// onlyBy lists who may import a module from outside themselves.
var onlyBy = map[string][]string{
	nats:   {"internal/stream", "internal/stream/embedded"},
	server: {"internal/stream/embedded"},
}

// mayLinkServer are those that may link the server: the one tool, and what measures it.
var mayLinkServer = []string{"cmd/keyturn", "internal/bench", "internal/bench/*", "internal/stream/embedded", "internal/stream/streamtest"}

func TestWhoImportsWhom(t *testing.T) {
	pkgs := list(t)
	for _, p := range pkgs {
		name := strings.TrimPrefix(p.ImportPath, module)
		checkOwn(t, name, p)
		for outside, by := range onlyBy {
			if slices.ContainsFunc(p.Imports, within(outside)) && !slices.Contains(by, name) {
				t.Errorf("%s imports %s: only %s may", name, outside, strings.Join(by, " and "))
			}
		}
		linked := slices.ContainsFunc(p.Deps, within(server))
		if linked && !slices.Contains(mayLinkServer, name) && !slices.Contains(mayLinkServer, parent(name)+"/*") {
			t.Errorf("%s links %s: only %s may", name, server, strings.Join(mayLinkServer, ", "))
		}
		for _, b := range barred {
			for _, what := range b.what {
				if slices.Contains(b.who, name) && slices.ContainsFunc(p.Deps, within(what)) {
					t.Errorf("%s links %s: %s", name, what, b.why)
				}
			}
		}
	}
}

// checkOwn checks which of ours a package imports itself.
func checkOwn(t *testing.T, name string, p pkg) {
	t.Helper()
	allowed, ruled := mayImport[name]
	if !ruled {
		allowed, ruled = mayImport[parent(name)+"/*"]
	}
	if !ruled {
		return
	}
	for _, path := range p.Imports {
		own, ours := strings.CutPrefix(path, module)
		leaf := slices.Contains(leaves, own) && !slices.Contains(alone, name)
		if ours && !leaf && !slices.Contains(allowed, own) && !slices.Contains(allowed, parent(own)+"/*") {
			t.Errorf("%s imports %s: it may import %v of ours", name, own, allowed)
		}
	}
}

// Every name in the rules is a package, so that a rule cannot lapse by a package being renamed.
func TestRulesNamePackages(t *testing.T) {
	var names []string
	for _, p := range list(t) {
		names = append(names, strings.TrimPrefix(p.ImportPath, module))
	}
	exists := func(name string) bool {
		if up, ok := strings.CutSuffix(name, "/*"); ok {
			return slices.ContainsFunc(names, func(n string) bool { return parent(n) == up })
		}
		return slices.Contains(names, name)
	}
	ruled := slices.Concat(alone, mayLinkServer)
	for name, allowed := range mayImport {
		ruled = append(append(ruled, name), allowed...)
	}
	for _, b := range barred {
		ruled = append(ruled, b.who...)
	}
	for _, by := range onlyBy {
		ruled = append(ruled, by...)
	}
	for _, name := range ruled {
		if !exists(name) {
			t.Errorf("no package %s", name)
		}
	}
}

// Zones are found in images and on machines that have no tz database.
func TestCommandsBringTheirZones(t *testing.T) {
	for _, p := range list(t) {
		if strings.HasPrefix(p.ImportPath, module+"cmd/") && !slices.Contains(p.Deps, "time/tzdata") {
			t.Errorf("%s does not link time/tzdata", p.ImportPath)
		}
	}
}

// parent is the path above a package.
func parent(name string) string { return name[:max(strings.LastIndexByte(name, '/'), 0)] }

// within matches a path that is the given one or below it.
func within(root string) func(string) bool {
	return func(path string) bool { return path == root || strings.HasPrefix(path, root+"/") }
}

// list asks the go command for all packages of ours.
func list(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=ImportPath,Imports,Deps", module+"...")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v: %s", err, stderr.String())
	}
	var pkgs []pkg
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p pkg
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return pkgs
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(p.ImportPath, module) {
			pkgs = append(pkgs, p)
		}
	}
}
