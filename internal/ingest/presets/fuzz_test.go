package presets_test

import (
	"testing"

	"keyturn/internal/config"
	"keyturn/internal/rehearsal"
)

// FuzzPresets: whatever a sender signs, its preset neither fails nor says two things about it, and what it makes of it
// is an answer that the sender can do something with. One case of every source is where it begins.
func FuzzPresets(f *testing.F) {
	heads := map[string]rehearsal.Case{}
	for _, name := range config.Presets() {
		suite := load(f, name)
		for _, file := range suite.Files() {
			c, err := rehearsal.Parse(suite.Cases[file])
			if err != nil {
				f.Fatal(file, err)
			}
			if c.Unsigned {
				continue
			}
			if _, seeded := heads[name+" "+c.Path]; !seeded {
				f.Add(name, c.Path, c.Body)
			}
			heads[name+" "+c.Path] = c
		}
	}
	f.Fuzz(func(t *testing.T, name, path string, body []byte) {
		c, ok := heads[name+" "+path]
		if !ok {
			return
		}
		c.Body = body
		first, err := load(t, name).Run(c)
		if err != nil {
			t.Skip(err) // what cannot be signed
		}
		switch first.Status {
		case 200, 202, 204, 400, 401, 413, 415:
		default:
			t.Errorf("answers %d: %s", first.Status, first.Body)
		}
		if len(first.Events) > 0 && first.Status >= 300 && first.Fault == nil {
			t.Errorf("answers %d and stores %d events", first.Status, len(first.Events))
		}
		again, err := load(t, name).Run(c)
		if err != nil || first.String() != again.String() {
			t.Errorf("the same delivery gives, error %v:\n%s\nand then:\n%s", err, first, again)
		}
	})
}
