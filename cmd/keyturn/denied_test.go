package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// TestAnOperatorWithoutARightIsToldWhich: the broker does not answer whoever lacks one, and is not away.
func TestAnOperatorWithoutARightIsToldWhich(t *testing.T) {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
		Users: []*server.User{{Username: "ada", Password: "acme-sample", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Allow: []string{"commands.>"}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(20 * time.Second) {
		t.Fatal("the server does not start")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	var said bytes.Buffer
	url := strings.Replace(s.ClientURL(), "nats://", "nats://ada:acme-sample@", 1)
	err = run(ctx, []string{"cases", "--server", url}, strings.NewReader(""), &bytes.Buffer{}, &said)
	if exitCode(err) != exitUnavailable || !strings.Contains(said.String(), `Violation for Publish to "$JS.API.`) || !strings.Contains(said.String(), "grant that") ||
		strings.Contains(said.String(), "acme-sample") {
		t.Errorf("%d: %s", exitCode(err), &said)
	}
}
