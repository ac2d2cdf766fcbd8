package rehearsal

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"keyturn/internal/config"
	"keyturn/internal/ingest"
)

// Suite is the cases of one preset or source.
type Suite struct {
	Sources map[string]ingest.SourceSpec
	Cases   map[string]string // file → text

	made map[string]func() (*ingest.Source, error) // each is made once, when a case first asks for it
}

func newSuite(specs ...ingest.SourceSpec) Suite {
	s := Suite{Sources: map[string]ingest.SourceSpec{}, Cases: map[string]string{}, made: map[string]func() (*ingest.Source, error){}}
	for _, spec := range specs {
		s.Sources[spec.Name] = spec
		s.made[spec.Name] = sync.OnceValues(func() (*ingest.Source, error) { return ingest.NewSource(spec) })
	}
	return s
}

// Load reads the suite in a directory: sources.yaml, whose secrets from the environment are samples, and *.txt.
func Load(files fs.FS, dir string) (Suite, error) {
	list, err := config.ReadSources(dir, config.Samples(func(name string) ([]byte, error) { return fs.ReadFile(files, name) }))
	if err != nil {
		return Suite{}, err
	}
	var specs []ingest.SourceSpec
	for _, c := range list {
		specs = append(specs, ingest.Configured(c))
	}
	s := newSuite(specs...)
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
	o, err := s.Run(c)
	return c, o, err
}

// Run plays a case through the source that it is for. The source is made when a case first asks for it.
func (s Suite) Run(c Case) (Outcome, error) {
	spec, ok := s.Sources[c.Name()]
	if !ok {
		return Outcome{}, fmt.Errorf("case: sources.yaml has no source %s, there are %s", c.Name(), strings.Join(slices.Sorted(maps.Keys(s.Sources)), ", "))
	}
	source, err := s.made[spec.Name]()
	if err != nil {
		return Outcome{}, err
	}
	return play(source, spec, c)
}

// LoadSource reads the cases of a configured source, DIR/testdata/NAME/*.txt; there may be none.
func LoadSource(dir string, spec ingest.SourceSpec) (Suite, error) {
	s := newSuite(spec)
	names, err := filepath.Glob(filepath.Join(dir, "testdata", spec.Name, "*.txt"))
	if err != nil {
		return s, err
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			return s, err
		}
		s.Cases[name] = string(b)
	}
	return s, nil
}

// Files lists the files of the cases, sorted.
func (s Suite) Files() []string { return slices.Sorted(maps.Keys(s.Cases)) }

// Diff lists the lines that differ: those wanted with -, those that came with +.
func Diff(want, got string) []string {
	was, is := strings.Split(want, "\n"), strings.Split(got, "\n")
	for len(was) > 0 && len(is) > 0 && was[0] == is[0] {
		was, is = was[1:], is[1:]
	}
	for len(was) > 0 && len(is) > 0 && was[len(was)-1] == is[len(is)-1] {
		was, is = was[:len(was)-1], is[:len(is)-1]
	}
	var lines []string
	for _, line := range was {
		lines = append(lines, "- "+line)
	}
	for _, line := range is {
		lines = append(lines, "+ "+line)
	}
	return lines
}
