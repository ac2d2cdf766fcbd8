package presets_test

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"keyturn/internal/config"
	"keyturn/internal/ingest"
	"keyturn/internal/ingest/presets"
	"keyturn/internal/rehearsal"
)

// canary stands for what an administrator lets a personnel system post: nobody here may ever see it.
const canary = "canary-salary-71000"

// TestPersonnelSystemsAreKeptShort: whatever else a personnel system posts, at whatever depth, changes nothing of what
// becomes of its deliveries, and stands in no event, in no dead letter and in no step that is shown to a person.
func TestPersonnelSystemsAreKeptShort(t *testing.T) {
	for _, name := range []string{"bamboohr", "deel", "gusto", "hibob", "merge"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			suite := load(t, name)
			spec := ingest.Configured(rehearsed(t, name))
			source, err := ingest.NewSource(spec)
			if err != nil {
				t.Fatal(err)
			}
			for file, text := range suite.Cases {
				c, err := rehearsal.Parse(text)
				if err != nil {
					t.Fatal(file, err)
				}
				tree := decode(c.Body)
				if _, object := tree.(map[string]any); !object {
					continue
				}
				plant(tree)
				if c.Body, err = json.Marshal(tree); err != nil {
					t.Fatal(err)
				}
				got, err := suite.Run(c)
				if err != nil {
					t.Fatal(file, err)
				}
				if !c.Matches(got) {
					t.Errorf("%s: a member that is not looked at changes it:\n%s", file, strings.Join(rehearsal.Diff(c.Want(), got.String()), "\n"))
				}
				if steps := tried(t, source, spec, c); strings.Contains(got.String()+steps, canary) {
					t.Errorf("%s: what is not kept is seen:\n%s\n%s", file, got, steps)
				}
			}
		})
	}
}

// plant puts the canary into every object.
func plant(tree any) {
	switch x := tree.(type) {
	case map[string]any:
		for _, v := range x {
			plant(v)
		}
		x["salary"], x["*"] = canary, map[string]any{"id": canary, "email": canary}
	case []any:
		for _, v := range x {
			plant(v)
		}
	}
}

// rehearsed is the source that the cases of a preset are played against.
func rehearsed(t *testing.T, name string) config.Source {
	t.Helper()
	list, err := config.ReadSources("testdata/"+name, config.Samples(presets.FS.ReadFile))
	if err != nil || len(list) == 0 {
		t.Fatal(name, err)
	}
	i := slices.IndexFunc(list, func(c config.Source) bool { return c.Mapping != nil && len(c.Mapping.Keep) > 0 })
	if i < 0 {
		t.Fatalf("%s keeps all that is posted", name)
	}
	return list[i]
}

// tried is all that keyturn source try shows of a delivery.
func tried(t *testing.T, source *ingest.Source, spec ingest.SourceSpec, played rehearsal.Case) string {
	t.Helper()
	req, err := played.Request(spec)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		t.Fatal(err)
	}
	steps, err := source.Try(ingest.Delivery{Received: played.At, Method: req.Method, URL: req.URL, Header: req.Header, Body: body, Remote: req.RemoteAddr})
	b, jerr := json.Marshal(steps)
	if jerr != nil {
		t.Fatal(jerr)
	}
	return string(b) + fmt.Sprint(err)
}
