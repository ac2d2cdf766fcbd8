package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"keyturn/internal/secret"
)

// Resolver gives the values that references stand for. The zero Resolver asks the operating system.
type Resolver struct {
	LookupEnv func(name string) (string, bool)  // os.LookupEnv when nil
	ReadFile  func(path string) ([]byte, error) // ReadFile when nil

	// Unresolved, when given, is told of every well-formed reference that has no value here, which then is no fault; its
	// secret is empty. It is for those who check a configuration where its secrets are not: nothing can run with it.
	Unresolved func(Fault)

	dir    string // what a relative path is relative to
	sample bool   // Samples
}

// in is the resolver for the files in dir: a relative ${file:PATH} starts there.
func (r Resolver) in(dir string) Resolver {
	if r.LookupEnv == nil {
		r.LookupEnv = os.LookupEnv
	}
	if r.ReadFile == nil {
		r.ReadFile = ReadFile
	}
	r.dir = dir
	return r
}

// maxSecret bounds a secret's file, in bytes: a path that points at something else is a fault, not an allocation.
const maxSecret = 64 << 10

const notReference = "must be a reference, ${env:NAME} or ${file:PATH}: a secret itself never stands in this file"

var (
	references = regexp.MustCompile(`^\$\{(env|file):([^{}]+)\}$`)
	variables  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// reference matches the two forms; whatever else stands in place of a secret may be the secret itself, and is never
// repeated.
func reference(s string) (kind, arg string, ok bool) {
	m := references.FindStringSubmatch(s)
	if m == nil || m[1] == "env" && !variables.MatchString(m[2]) {
		return "", "", false
	}
	return m[1], m[2], true
}

// resolve gives the secret that s refers to, or what is wrong with it.
func (r Resolver) resolve(s string) (secret.Value, string) {
	kind, arg, ok := reference(s)
	switch {
	case !ok:
		return secret.Value{}, notReference
	case r.sample:
		return secret.New(Sample(arg)), ""
	case kind == "env":
		return r.fromEnv(arg)
	default:
		return r.fromFile(arg)
	}
}

func (r Resolver) fromEnv(name string) (secret.Value, string) {
	v, ok := r.LookupEnv(name)
	switch {
	case !ok:
		return secret.Value{}, "environment variable " + name + " is not set: set it, or refer to a file with ${file:PATH}"
	case strings.TrimSpace(v) == "":
		return secret.Value{}, "environment variable " + name + " is empty: give it the secret"
	}
	return secret.New(v), ""
}

func (r Resolver) fromFile(name string) (secret.Value, string) {
	full := r.path(name)
	b, err := r.ReadFile(full)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return secret.Value{}, "file " + full + " does not exist: create it, or correct the path"
	case err != nil:
		return secret.Value{}, "file " + full + " cannot be read: " + plainError(err)
	case len(b) > maxSecret:
		return secret.Value{}, "file " + full + " is larger than 64 KiB: that is no secret, correct the path"
	}
	v := trimNewline(string(b))
	if strings.TrimSpace(v) == "" {
		return secret.Value{}, "file " + full + " is empty: write the secret into it"
	}
	return secret.New(v), ""
}

// path makes a relative path of a file start at the directory of that file.
func (r Resolver) path(name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(r.dir, name)
}

// trimNewline takes off the one line end that an editor puts behind a secret.
func trimNewline(s string) string {
	return strings.TrimSuffix(strings.TrimSuffix(s, "\n"), "\r")
}

// plainError is the cause without the path, which the message names already.
func plainError(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}
