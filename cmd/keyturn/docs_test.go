package main

import (
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// consoleLines finds what documents tell people to type.
var consoleLines = regexp.MustCompile(`(?m)^\$ keyturn (.*)$`)

// TestDocumentedCommands: every command line of the guides is one that the tool takes.
func TestDocumentedCommands(t *testing.T) {
	for _, name := range []string{"PLAYBOOKS.md", "OPERATIONS.md"} {
		t.Run(name, func(t *testing.T) { checkCommands(t, "../../docs/"+name) })
	}
}

func checkCommands(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := consoleLines.FindAllStringSubmatch(string(text), -1)
	if len(lines) < 10 {
		t.Fatalf("only %d command lines: has the form of the document changed?", len(lines))
	}
	for _, m := range lines {
		root := newRootCmd(&app{in: strings.NewReader(""), out: io.Discard, err: io.Discard, now: time.Now, zone: time.UTC})
		cmd, rest, err := root.Find(words(m[1]))
		if err != nil || cmd == root {
			t.Errorf("keyturn %s: no such command (%v)", m[1], err)
			continue
		}
		if err := cmd.ParseFlags(rest); err != nil {
			t.Errorf("keyturn %s: %v", m[1], err)
		}
		if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
			t.Errorf("keyturn %s: %v", m[1], err)
		}
	}
}

// words splits a command line as a shell does, as far as documents need it: what stands in single quotes is one word.
func words(line string) []string {
	var list []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			list = append(list, part)
		} else {
			list = append(list, strings.Fields(part)...)
		}
	}
	return list
}
