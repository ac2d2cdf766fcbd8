package rehearsal

import (
	"crypto/sha256"
	"encoding/base64"
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

// sampleEnv gives a sample secret of any name, the same every time. It has the form that Standard Webhooks wants, and
// is as good as any text elsewhere.
func sampleEnv(name string) (string, bool) {
	sum := sha256.Sum256([]byte("sample " + name))
	return "whsec_" + base64.StdEncoding.EncodeToString(sum[:]), true
}

// Load reads the suite in a directory: sources.yaml, whose secrets from the environment are samples, and *.txt.
func Load(files fs.FS, dir string) (Suite, error) {
	refs := config.Resolver{LookupEnv: sampleEnv, ReadFile: func(name string) ([]byte, error) { return fs.ReadFile(files, name) }}
	list, err := config.ReadSources(dir, refs)
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
