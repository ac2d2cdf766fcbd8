package main

import (
	"testing"

	"keyturn/internal/sandbox"
)

// TestSampleConfiguration: what dev and demo write is sound with its secrets, and its own tests hold.
func TestSampleConfiguration(t *testing.T) {
	dir := t.TempDir()
	if err := writeSample(dir, "http://127.0.0.1:1", sandbox.New(sandbox.Options{}).Credentials(), 0); err != nil {
		t.Fatal(err)
	}
	if c, _ := check(dir, true); !c.Sound || len(c.Unresolved) > 0 {
		t.Errorf("got %+v", c)
	}
	report, err := runTests(dir)
	if err != nil || report.Failed() > 0 || report.Coverage() < 100 {
		t.Errorf("%.1f %%, %v: %+v", report.Coverage(), err, report.Tests)
	}
}
