package main

import (
	"bytes"
	"fmt"
	"net/http"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"keyturn/internal/config"
	"keyturn/internal/ingest"
)

// cmdPost sends a file to a source as its sender would: post SOURCE FILE.
func cmdPost(ts *testscript.TestScript, _ bool, args []string) {
	s := siteOf(ts)
	list, err := config.ReadSources(s.config, config.Resolver{})
	ts.Check(err)
	c, ok := list.Find(args[0])
	if !ok {
		ts.Fatalf("no source %s", args[0])
	}
	body := []byte(ts.ReadFile(args[1]))
	req, err := http.NewRequest(http.MethodPost, s.intake.URL+"/hooks/"+c.Name, bytes.NewReader(body))
	ts.Check(err)
	ts.Check(ingest.Sign(ingest.Configured(c), req, body, "e1", time.Now()))
	resp, err := s.intake.Client().Do(req)
	ts.Check(err)
	ts.Check(resp.Body.Close())
	if resp.StatusCode != http.StatusAccepted {
		ts.Check(fmt.Errorf("post to %s: %s", c.Name, resp.Status))
	}
}
