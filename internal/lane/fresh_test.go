package lane

import (
	"testing"
	"time"

	"keyturn/internal/stream"
)

func TestWhatIsFresh(t *testing.T) {
	now := time.Now()
	for _, tc := range []struct {
		name string
		m    stream.Message
		want bool
	}{
		{"just sent", stream.Message{Deliveries: 1, Stored: now.Add(-time.Second)}, true},
		{"by a broker whose clock is ahead", stream.Message{Deliveries: 1, Stored: now.Add(time.Minute)}, true},
		{"sent a while ago", stream.Message{Deliveries: 1, Stored: now.Add(-freshFor)}, false},
		{"given back", stream.Message{Deliveries: 2, Stored: now}, false},
		{"waited for its time", stream.Message{Deliveries: 1, Stored: now, Waited: true}, false},
	} {
		if got := fresh(&tc.m, now); got != tc.want {
			t.Errorf("%s: %t", tc.name, got)
		}
	}
}
