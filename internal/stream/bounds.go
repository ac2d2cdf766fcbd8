package stream

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"
)

// metaBound is what a stream's own description says of its bound: the bytes that followed from the size of the store, or
// boundChosen. Where it says nothing, the stream is of before that was kept, and its bound followed.
const (
	metaBound   = "keyturn.bound"
	boundChosen = "chosen"
)

// bound gives a stream its bound, in bytes. One that an operator chose stays, with EventBytes or at the server. One that
// followed from the size of the store grows with it, or there would be no way out of a store that is full; it never
// shrinks, as what is there stays there. One that was taken off at the server is put back, and follows again: without
// it intake takes the room in which what was accepted is worked off, and a server whose store is full does nothing more.
func (o Options) bound(cfg *jetstream.StreamConfig, old jetstream.StreamConfig) {
	if cfg.MaxBytes <= 0 {
		return
	}
	said, known := old.Metadata[metaBound]
	switch {
	case o.EventBytes > 0, old.MaxBytes <= 0:
	case o.StoreBytes == 0 || known && said != strconv.FormatInt(old.MaxBytes, 10):
		cfg.MaxBytes = old.MaxBytes
		return
	default:
		cfg.MaxBytes = max(cfg.MaxBytes, old.MaxBytes)
	}
	cfg.Metadata = o.bounded(cfg.MaxBytes, old.Metadata)
}

// bounded adds to a stream's description where its bound comes from; nothing to that of one that has none.
func (o Options) bounded(bytes int64, meta map[string]string) map[string]string {
	if bytes <= 0 {
		return meta
	}
	from := strconv.FormatInt(bytes, 10)
	if o.EventBytes > 0 {
		from = boundChosen
	}
	all := map[string]string{metaBound: from}
	for key, said := range meta {
		if key != metaBound {
			all[key] = said
		}
	}
	return all
}

// roomFor adds to a server's refusal of a stream what to do: it promises a stream all that it may fill.
func roomFor(cfg jetstream.StreamConfig, err error) error {
	if cfg.MaxBytes <= 0 || !full(err) {
		return err
	}
	return fmt.Errorf("%w: it may fill %d MiB, which the servers must have left: raise max_file_store in their jetstream block", err, cfg.MaxBytes>>20)
}

// copiesFor adds to a server's refusal of a stream what to do: a server of its own keeps one copy.
func copiesFor(err error) error {
	var api *jetstream.APIError
	if !errors.As(err, &api) || api.ErrorCode != codeNoCluster {
		return err
	}
	return fmt.Errorf("%w: this server is in no cluster: set KEYTURN_REPLICAS=1, or name servers of a cluster in KEYTURN_NATS_URL", err)
}
