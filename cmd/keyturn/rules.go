package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"keyturn/internal/config"
	"keyturn/internal/playbook"
	"keyturn/internal/stream"
	"keyturn/internal/worker"
)

// rules are playbooks and guards to rehearse with, as a worker would plan by them.
type rules struct {
	*playbook.Set
	from   string // where they come from, for a person
	brakes []config.Brake
}

// rulesIn reads the playbooks of a directory. Connections need not stand beside them, nor secrets on this machine; where
// connections do, the playbooks are checked against them, and the clients that Keyturn signs in with are spared.
func rulesIn(dir string) (rules, error) {
	refs := config.Resolver{Unresolved: func(config.Fault) {}}
	if _, err := os.Stat(filepath.Join(dir, config.ConnectionsFile)); errors.Is(err, fs.ErrNotExist) {
		p, err := config.ReadPlaybooks(dir, refs)
		return compiled(p, nil, dir, err)
	}
	files, err := config.Read(dir, refs)
	return compiled(files.Playbooks, files.Connections, dir, err)
}

// compiled makes rules of playbooks that were read with err.
func compiled(p config.Playbooks, connections config.Connections, from string, err error) (rules, error) {
	set, perr := worker.Playbooks(p)
	if err := config.Join(err, perr); err != nil {
		return rules{}, err
	}
	return rules{Set: worker.Sparing(set, connections), from: from, brakes: p.Guards.Brakes}, nil
}

// activeRules asks a worker for the playbooks that are in force.
func (s *session) activeRules(ctx context.Context) (rules, error) {
	var pages [][]byte
	err := s.bus.Ask(ctx, stream.ReadConfig, stream.AnyWorker, nil, func(page []byte) error {
		pages = append(pages, slices.Clone(page))
		return nil
	})
	switch {
	case errors.Is(err, stream.ErrNoHolder):
		return rules{}, unavailable(errors.New("no worker says which playbooks are in force: start keyturn serve, or a worker"))
	case err != nil:
		return rules{}, fmt.Errorf("ask for the playbooks in force: %w", err)
	}
	var head worker.Active
	if len(pages) == 0 || json.Unmarshal(pages[0], &head) != nil {
		return rules{}, errors.New("ask for the playbooks in force: an answer in a form of another version")
	}
	text := slices.Concat(pages[1:]...)
	from := "in force at " + head.Worker
	p, err := config.ReadPlaybooks(from, config.Resolver{ReadFile: func(string) ([]byte, error) { return text, nil }})
	r, err := compiled(p, nil, from, err)
	if err != nil {
		return rules{}, fmt.Errorf("the playbooks in force are none to this version of keyturn: %w", err)
	}
	for principal, connection := range head.Own {
		r.Set = r.Sparing("Keyturn signs in with it at connection "+connection, principal)
	}
	return r, nil
}
