package rehearsal

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"keyturn/internal/config"
	"keyturn/internal/ingest"
)

// Suite is the cases of one preset or source.
type Suite struct {
	Sources map[string]ingest.SourceSpec
	Cases   map[string]string // file → text
}

// Load reads the suite in a directory: sources.yaml, whose secrets from the environment are samples, and *.txt.
func Load(files fs.FS, dir string) (Suite, error) {
	list, err := config.ReadSources(dir, config.Samples(func(name string) ([]byte, error) { return fs.ReadFile(files, name) }))
	if err != nil {
		return Suite{}, err
	}
	s := Suite{Sources: map[string]ingest.SourceSpec{}, Cases: map[string]string{}}
	for _, c := range list {
		s.Sources[c.Name] = ingest.Configured(c)
	}
	names, err := fs.Glob(files, path.Join(dir, "*.txt"))
	if err != nil {
		return Suite{}, err
	}
	for _, name := range names {
		b, err := fs.ReadFile(files, name)
		if err != nil {
			return Suite{}, err
		}
		s.Cases[name] = string(b)
	}
	return s, nil
}

// Play runs one case of the suite.
func (s Suite) Play(text string) (Case, Outcome, error) {
	c, err := Parse(text)
	if err != nil {
		return c, Outcome{}, err
	}
	spec, ok := s.Sources[c.Name()]
	if !ok {
		return c, Outcome{}, fmt.Errorf("case: sources.yaml has no source %s, there are %s", c.Name(), strings.Join(keys(s.Sources), ", "))
	}
	o, err := Run(spec, c)
	return c, o, err
}

func keys(m map[string]ingest.SourceSpec) []string {
	var list []string
	for name := range m {
		list = append(list, name)
	}
	return list
}
