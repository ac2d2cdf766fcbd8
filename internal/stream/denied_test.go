package stream_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"keyturn/internal/secret"
	"keyturn/internal/stream"
)

// TestARightThatTheBrokerRefusesIsNamed: whoever lacks one gets no answer at all, which looks like a broker that is away.
func TestARightThatTheBrokerRefusesIsNamed(t *testing.T) {
	s := external(t, func(o *server.Options) {
		o.SyncAlways = true
		o.Users = []*server.User{{Username: "keyturn", Password: "acme-sample", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Allow: []string{">"}, Deny: []string{"$JS.API.STREAM.INFO.>"}}}}}
	})
	bus, err := stream.Connect(t.Context(), stream.Options{URL: s.ClientURL(), User: "keyturn", Password: secret.New("acme-sample"), AssertDurable: true})
	if err != nil {
		t.Fatal(err)
	}
	defer bus.Close(t.Context())
	if err := bus.Explain(context.DeadlineExceeded); err != context.DeadlineExceeded { //nolint:errorlint // the same one
		t.Errorf("before anything was refused: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	err = bus.Ready(ctx)
	if err == nil || !strings.Contains(err.Error(), `Publish to "$JS.API.STREAM.INFO.EVENTS": grant that`) {
		t.Errorf("%v", err)
	}
	if bus.Explain(nil) != nil {
		t.Error("what went well is explained")
	}
}
