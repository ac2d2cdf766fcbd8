package ingest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestAFileWithoutKeysIsNotReadForEachDelivery: what it was found to be is believed for a while, unless it changes.
func TestAFileWithoutKeysIsNotReadForEachDelivery(t *testing.T) {
	name, c := filepath.Join(t.TempDir(), "keys.json"), newClock()
	s := keysAt(name, c)
	good := jwkSet(jwk(t, "a", "", signers()["p256"]))
	write := func(text string, at time.Time) {
		t.Helper()
		if err := errors.Join(os.WriteFile(name, []byte(text), 0o600), os.Chtimes(name, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		text string
		at   time.Time // of the file
		want error
	}{
		{strings.Repeat("{", len(good)), noon, errNoKeys},
		{good, noon, errNoKeys}, // not looked at: nothing shows that it is another one
		{strings.Repeat("{", len(good)), noon.Add(time.Second), errNoKeys},
		{good, noon.Add(2 * time.Second), nil},
	} {
		write(step.text, step.at)
		if _, err := s.find("a"); !errors.Is(err, step.want) {
			t.Errorf("%+v: %v", step, err)
		}
	}
	s = keysAt(name, c)
	write(strings.Repeat("{", len(good)), noon)
	_, _ = s.find("a")
	write(good, noon)
	c.pass(rereadEvery)
	if _, err := s.find("a"); err != nil {
		t.Errorf("later: %v", err)
	}
}
