package reload

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"keyturn/internal/config"
)

// Reading is one reading of a configuration. It remembers every file that was asked for, those of secrets too, and what
// stood in it, as a hash.
type Reading struct {
	mu   sync.Mutex
	seen map[string]string // by path
}

// NewReading begins a reading.
func NewReading() *Reading { return &Reading{seen: map[string]string{}} }

// Resolver is what package config must read with, so that the reading knows of it.
func (r *Reading) Resolver() config.Resolver { return config.Resolver{ReadFile: r.readFile} }

func (r *Reading) readFile(path string) ([]byte, error) {
	b, err := config.ReadFile(path)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen[path] = stateOf(b, err)
	return b, err
}

// stateOf is what is remembered of a file: the hash of its content, or that it could not be read.
func stateOf(b []byte, err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "absent"
	case err != nil:
		return "unreadable"
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// then gives what stood in the files when they were read.
func (r *Reading) then() map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.seen)
}

// now reads the same files once more.
func (r *Reading) now() map[string]string {
	files := r.then()
	for path := range files {
		files[path] = stateOf(config.ReadFile(path))
	}
	return files
}

// changed reports whether one of the files says something else by now.
func (r *Reading) changed() bool { return !maps.Equal(r.then(), r.now()) }

// versions names the configuration's own files by their content, as config.Version does.
func (r *Reading) versions() []string {
	var list []string
	for path, state := range r.then() {
		name := filepath.Base(path)
		if slices.Contains([]string{config.SourcesFile, config.ConnectionsFile, config.PlaybooksFile}, name) {
			list = append(list, fmt.Sprintf("%s %.12s", name, state))
		}
	}
	slices.Sort(list)
	return list
}

// String is the same in one line.
func (r *Reading) String() string { return strings.Join(r.versions(), ", ") }
