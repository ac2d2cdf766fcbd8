package stream_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"keyturn/internal/stream"
	"keyturn/internal/stream/embedded"
)

// edit has another version change a stream.
func edit(t *testing.T, srv *embedded.Server, name string, change func(*jetstream.StreamConfig)) {
	t.Helper()
	cfg := streamInfo(t, srv, name).Config
	change(&cfg)
	if _, err := client(t, "", within(srv)...).UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
}

// TestStartsBesideANewerVersion: which publishes on with subjects of its own.
func TestStartsBesideANewerVersion(t *testing.T) {
	srv := start(t, embedded.Options{})
	connect(t, srv)
	own := streamInfo(t, srv, "ACTIONS").Config.Subjects
	edit(t, srv, "ACTIONS", func(cfg *jetstream.StreamConfig) {
		narrower := slices.DeleteFunc(slices.Clone(cfg.Subjects), func(s string) bool { return s == "visit.*.*.*" })
		cfg.Subjects = append(narrower, "visit.okta-prod.*.*", "again.*")
	})
	connect(t, srv)
	if got := streamInfo(t, srv, "ACTIONS").Config.Subjects; !slices.Equal(got, append(own, "again.*")) {
		t.Errorf("ACTIONS takes %v", got)
	}
}

// TestLeavesWhatANewerVersionWroteAlone: an older one would write records anew without what it does not know.
func TestLeavesWhatANewerVersionWroteAlone(t *testing.T) {
	srv := start(t, embedded.Options{})
	bus := connect(t, srv)
	edit(t, srv, "ACTIONS", func(cfg *jetstream.StreamConfig) { cfg.Description = "theirs" })
	for said, want := range map[string]error{"1": nil, "2": stream.ErrNewer, "1.1": stream.ErrNewer} {
		edit(t, srv, "LEDGER", func(cfg *jetstream.StreamConfig) { cfg.Metadata["keyturn.form"] = said })
		if err := bus.CreateTopology(t.Context()); !errors.Is(err, want) || errors.Is(err, stream.ErrUnavailable) {
			t.Errorf("over streams of form %s: %v", said, err)
		}
		if got := streamInfo(t, srv, "LEDGER").Config.Metadata["keyturn.form"]; got != said {
			t.Errorf("the form was %s and is %s", said, got)
		}
		theirs := streamInfo(t, srv, "ACTIONS").Config.Description == "theirs"
		if want != nil && !theirs {
			t.Errorf("streams of form %s were changed", said)
		}
		edit(t, srv, "ACTIONS", func(cfg *jetstream.StreamConfig) { cfg.Description = "theirs" })
	}
}

func TestSaysWhatRoomAStreamNeeds(t *testing.T) {
	srv := start(t, embedded.Options{MaxStore: 64 << 20})
	o := srv.Options()
	o.EventBytes = 80 << 20
	bus, err := stream.Connect(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer bus.Close(t.Context())
	if err := bus.CreateTopology(t.Context()); err == nil || !strings.Contains(err.Error(), "it may fill 80 MiB") || !strings.Contains(err.Error(), "max_file_store") {
		t.Errorf("got %v", err)
	}
}
