// Package config reads everything that an operator configures: the settings of a process from the environment, and
// sources, connections and playbooks from three YAML files in one directory.
//
// Its contract: a fault is never the first of many. Every problem of every file, and every problem of the environment,
// is reported at once, each as `file:line:column: path: what, and what to do`. A key that nothing enforces is a fault.
// Secrets stand in the files as references only (${env:NAME}, ${file:PATH}); no value of a secret, and no text that
// might be one by mistake, is ever part of an error. What the files may say is the JSON Schema in schemas/config; what
// a schema cannot say is checked here. Each file is read by those who need it: ingest reads the sources and nothing
// else, so that the public face cannot hold a provider's credential.
package config

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
)

// The names of the files in the configuration directory.
const (
	SourcesFile     = "sources.yaml"
	ConnectionsFile = "connections.yaml"
	PlaybooksFile   = "playbooks.yaml"
)

// Config is what a worker needs of the files.
type Config struct {
	Connections Connections
	Playbooks   Playbooks
}

// ReadSources reads sources.yaml in dir. The error is Faults.
func ReadSources(dir string, refs Resolver) (Sources, error) {
	r := reader{refs: refs.in(dir)}
	doc, ok := r.open(filepath.Join(dir, SourcesFile), "sources.json", layPresets)
	if !ok {
		return nil, r.err()
	}
	sources := readSources(doc)
	return sources, r.err()
}

// Read reads connections.yaml and playbooks.yaml in dir and checks them against each other. The error is Faults with
// the faults of both; the Config holds what could be read in spite of them, so that a caller can look for more.
func Read(dir string, refs Resolver) (Config, error) {
	r := reader{refs: refs.in(dir)}
	var c Config
	c.Connections = r.connections(dir)
	known := !r.faulty()
	if doc, ok := r.open(filepath.Join(dir, PlaybooksFile), "playbooks.json"); ok {
		c.Playbooks = readPlaybooks(doc)
		if known || len(c.Connections) > 0 {
			checkConnections(doc, c.Playbooks, c.Connections)
			checkCounts(doc, c.Playbooks.Guards, c.Connections)
			checkAdmins(doc, c.Playbooks.Guards, c.Connections)
		}
	}
	return c, r.err()
}

// ReadPlaybooks reads playbooks.yaml in dir and nothing else: for those who have no connections to check it against.
// The error is Faults.
func ReadPlaybooks(dir string, refs Resolver) (Playbooks, error) {
	r := reader{refs: refs.in(dir)}
	doc, ok := r.open(filepath.Join(dir, PlaybooksFile), "playbooks.json")
	if !ok {
		return Playbooks{}, r.err()
	}
	p := readPlaybooks(doc)
	return p, r.err()
}

// Version is the short name of what stands in a file: the first 12 hex digits of its SHA-256, as sha256sum prints them.
func Version(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:6])
}

func (r *reader) connections(dir string) Connections {
	doc, ok := r.open(filepath.Join(dir, ConnectionsFile), "connections.json")
	if !ok {
		return nil
	}
	return readConnections(doc)
}
