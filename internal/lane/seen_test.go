package lane

import (
	"testing"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/events"
)

func TestAGateTellsWhatItSaw(t *testing.T) {
	gate := NewGate(4)
	g := gate.For(events.Normal)
	for _, said := range []struct {
		bucket string
		budget apiclient.Budget
	}{{"b", reply(90, time.Minute)}, {"a", nothing}} {
		if err := g.Admit(t.Context(), said.bucket); err != nil {
			t.Fatal(err)
		}
		g.Learn(said.bucket, said.budget)
	}
	seen, atOnce := gate.Seen()
	if len(seen) != 2 || seen[0].Bucket != "a" || seen[0].Limit != 0 || seen[1].Limit != 100 || seen[1].Left != 90 || seen[1].Flying != 0 ||
		time.Until(seen[1].Reset) < 50*time.Second {
		t.Errorf("saw %+v", seen)
	}
	if atOnce != 4+urgentSlots {
		t.Errorf("%d calls at a time", atOnce)
	}
}
