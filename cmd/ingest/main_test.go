package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyturn/internal/config"
)

// TestAllFaultsAtOnce: what is wrong with an expression is told along with what is wrong with the file, at the start and
// when the file is read again.
func TestAllFaultsAtOnce(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("KEYTURN_CONFIG_DIR", dir)
	text := `sources:
  a: {preset: cloudevents, verify: {hmac: {header: X, secrets: ["${env:KEYTURN_TEST_UNSET}"]}}}
  b:
    preset: custom
    verify: {header_token: {header: X, values: ["${file:key}"]}}
    map: {type: {of: item.kind + nobody, table: {left: user.terminated}}, id: [item.id], data: {user: {email: x}}}
`
	for name, content := range map[string]string{config.SourcesFile: text, "key": "0123456789abcdef"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var shown bytes.Buffer
	err := run(t.Context(), nil, &shown)
	_, again := load(config.Ingest{ConfigDir: dir}, config.Resolver{}, nil)
	for what, err := range map[string]error{"at the start": err, "when read again": again} {
		if err == nil || !strings.Contains(err.Error(), "KEYTURN_TEST_UNSET") || !strings.Contains(err.Error(), "undeclared reference to 'nobody'") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
