package actions_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyturn/internal/actions"
	"keyturn/internal/secret"
)

// stored reads a secret's file; empty when there is none.
func (o *org) stored(id string) map[string]string {
	o.t.Helper()
	raw, err := os.ReadFile(filepath.Join(o.dir, id+".json"))
	if err != nil {
		return nil
	}
	var m map[string]string
	if err := json.Unmarshal(raw, &m); err != nil {
		o.t.Fatal(err)
	}
	return m
}

func TestDirSink(t *testing.T) {
	s := actions.DirSink{Dir: t.TempDir()}
	c := actions.ClientSecret{ClientID: "cl-1", Name: "Wiki", Key: "REQ-1", Secret: secret.New("canary-1")}
	if stored, readable, err := s.Stored(t.Context(), "cl-1"); stored || !readable || err != nil {
		t.Fatalf("before: %v %v %v", stored, readable, err)
	}
	for range 2 {
		if err := s.Store(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if stored, _, err := s.Stored(t.Context(), "cl-1"); !stored || err != nil {
		t.Errorf("after: %v %v", stored, err)
	}
	path := filepath.Join(s.Dir, "cl-1.json")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if data, _ := os.ReadFile(path); !strings.Contains(string(data), `"client_secret":"canary-1"`) {
		t.Error("the file does not hold the secret")
	}
	if left, _ := filepath.Glob(filepath.Join(s.Dir, ".new-*")); len(left) != 0 {
		t.Errorf("left over: %q", left)
	}
	if err := os.WriteFile(path, []byte(`{"client_id":"cl-1"`), 0o600); err != nil {
		t.Fatal(err)
	}
	if stored, _, err := s.Stored(t.Context(), "cl-1"); stored || err != nil {
		t.Errorf("a file that was cut off counts as stored: %v %v", stored, err)
	}
	for _, id := range []string{"", "..", "../cl-1", "a/b", ".hidden", "a\x00b"} {
		c.ClientID = id
		if err := s.Store(t.Context(), c); err == nil {
			t.Errorf("client id %q became a file", id)
		}
	}
	c.ClientID = "cl-2"
	err = actions.DirSink{Dir: filepath.Join(s.Dir, "missing")}.Store(t.Context(), c)
	if !errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), "canary") {
		t.Errorf("a directory that is not there: %v", err)
	}
}

func TestCommandSink(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	c := actions.ClientSecret{ClientID: "cl-1", Secret: secret.New("canary-2")}
	s := actions.CommandSink{Command: []string{"/bin/sh", "-c", `cat > "$0"`, out}}
	if err := s.Store(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if data, _ := os.ReadFile(out); !strings.Contains(string(data), "canary-2") {
		t.Error("the command did not get the secret")
	}
	s.Command = []string{"/bin/sh", "-c", "cat; cat >&2; exit 3"}
	if err := s.Store(t.Context(), c); err == nil || strings.Contains(err.Error(), "canary") || !strings.Contains(err.Error(), "3") {
		t.Errorf("a command that fails: %v", err)
	}
	if _, readable, _ := s.Stored(t.Context(), "cl-1"); readable {
		t.Error("a command can be asked")
	}
}
