package outcome

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v4"
	"golang.org/x/sync/errgroup"

	"keyturn/internal/config"
	"keyturn/internal/ledger"
)

// Teller is a relay, and the web hook where one is configured.
type Teller struct {
	bus   Bus
	relay *Relay
	hook  *Hook // nil = none
}

// New makes a teller by the settings of a process. The error says what is wrong with them.
func New(bus Bus, book *ledger.Ledger, o config.Outcome) (*Teller, error) {
	t := &Teller{bus: bus, relay: &Relay{Bus: bus, Ledger: book}}
	if o.URL == "" {
		return t, nil
	}
	var err error
	t.hook, err = NewHook(o.URL, o.Secret, o.Select())
	return t, err
}

// streamsEvery is how often a teller looks whether the streams are there, which the worker beside it makes.
const streamsEvery = 250 * time.Millisecond

// Run tells until ctx ends.
func (t *Teller) Run(ctx context.Context) error {
	there := func() error { return t.bus.CheckTopology(ctx) }
	if backoff.Retry(there, backoff.WithContext(backoff.NewConstantBackOff(streamsEvery), ctx)) != nil {
		return nil // stopped before there was anything to tell
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return t.relay.Run(ctx) })
	if t.hook != nil {
		g.Go(func() error { return t.hook.Run(ctx, t.bus) })
	}
	return g.Wait()
}
