package stream

import (
	"maps"
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
// shrinks, as what is there stays there.
func (o Options) bound(cfg *jetstream.StreamConfig, old jetstream.StreamConfig) {
	if cfg.MaxBytes <= 0 || old.MaxBytes <= 0 {
		return
	}
	said, known := old.Metadata[metaBound]
	meta := maps.Clone(old.Metadata)
	if meta == nil {
		meta = map[string]string{}
	}
	switch {
	case o.EventBytes > 0:
		meta[metaBound] = boundChosen
	case o.StoreBytes == 0 || known && said != strconv.FormatInt(old.MaxBytes, 10):
		cfg.MaxBytes = old.MaxBytes
	default:
		cfg.MaxBytes = max(cfg.MaxBytes, old.MaxBytes)
		meta[metaBound] = strconv.FormatInt(cfg.MaxBytes, 10)
	}
	cfg.Metadata = meta
}
