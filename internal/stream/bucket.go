package stream

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Bucket keeps the newest value of each key. Keys are letters, digits and "-/_=." (NATS ADR-8).
type Bucket struct {
	bus  *Bus
	name string
}

// Lanes is where workers keep what spares the next start work, and whose loss costs nothing else: held_plans, the newest
// count of the plans that wait.
func (b *Bus) Lanes() *Bucket { return &Bucket{bus: b, name: bucketLanes} }

// kv gives the client's handle of a bucket.
func (b *Bus) kv(ctx context.Context, name string) (jetstream.KeyValue, error) {
	b.mu.Lock()
	kv, ok := b.keys[name]
	b.mu.Unlock()
	if ok {
		return kv, nil
	}
	kv, err := b.js.KeyValue(ctx, name)
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.keys[name] = kv
	return kv, nil
}

// Get reads a key and the revision of its value; ErrNotFound when it has none. A replica may answer, so that what is
// decided upon it is written with Swap.
func (k *Bucket) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	kv, err := k.bus.kv(ctx, k.name)
	if err != nil {
		return nil, 0, refusal("get "+key, err)
	}
	entry, err := kv.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, 0, fmt.Errorf("get %s: %w", key, ErrNotFound)
	}
	if err != nil {
		return nil, 0, refusal("get "+key, err)
	}
	return entry.Value(), entry.Revision(), nil
}

// Swap writes a key if its revision is still after (0 = it has no value), and returns the new one; ErrConflict when it
// is not. It is on disk after the next Barrier.
func (k *Bucket) Swap(ctx context.Context, key string, value []byte, after uint64) (uint64, error) {
	return k.put(ctx, key, func(kv jetstream.KeyValue) (uint64, error) {
		if after == 0 {
			return kv.Create(ctx, key, value)
		}
		return kv.Update(ctx, key, value, after)
	})
}

// Put writes a key whatever it held. It is on disk after the next Barrier.
func (k *Bucket) Put(ctx context.Context, key string, value []byte) (uint64, error) {
	return k.put(ctx, key, func(kv jetstream.KeyValue) (uint64, error) { return kv.Put(ctx, key, value) })
}

// Delete removes a key; one that is not there is no error.
func (k *Bucket) Delete(ctx context.Context, key string) error {
	_, err := k.put(ctx, key, func(kv jetstream.KeyValue) (uint64, error) { return 0, kv.Delete(ctx, key) })
	return err
}

// put runs one write.
func (k *Bucket) put(ctx context.Context, key string, do func(jetstream.KeyValue) (uint64, error)) (uint64, error) {
	kv, err := k.bus.kv(ctx, k.name)
	if err != nil {
		return 0, refusal("put "+key, err)
	}
	var rev uint64
	err = k.bus.write(ctx, OpKey, key, func() error {
		var err error
		rev, err = do(kv)
		return err
	})
	if errors.Is(err, jetstream.ErrKeyExists) || conflict(err) {
		return 0, fmt.Errorf("put %s: %w", key, ErrConflict)
	}
	return rev, refusal("put "+key, err)
}

// Watch hands every key with its value to fn, first all that stand there, then each change, until ctx ends. A deleted
// key has a nil value.
func (k *Bucket) Watch(ctx context.Context, fn func(key string, value []byte)) error {
	kv, err := k.bus.kv(ctx, k.name)
	if err != nil {
		return refusal("watch "+k.name, err)
	}
	w, err := kv.WatchAll(ctx)
	if err != nil {
		return refusal("watch "+k.name, err)
	}
	defer func() { _ = w.Stop() }()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, ok := <-w.Updates():
			if !ok && ctx.Err() != nil {
				return nil // the watcher ends by itself with ctx
			}
			if !ok {
				return refusal("watch "+k.name, errors.New("ended"))
			}
			if e == nil {
				continue // everything that stood there was handed over
			}
			if e.Operation() != jetstream.KeyValuePut {
				fn(e.Key(), nil)
				continue
			}
			fn(e.Key(), e.Value())
		}
	}
}
