package worker

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"keyturn/internal/stream"
)

const (
	// holdsKey is where a count is kept, in the bucket of the lanes.
	holdsKey = "held_plans"
	// holdsKeep is how old what is kept may grow while the same plans are held: so much more of the ledger the next start reads.
	holdsKeep = 10 * time.Minute
	// holdsMost is how large it may be, in bytes: several thousand held plans. A NATS server takes values of up to 1 MiB.
	holdsMost = 512 << 10
)

// kept is a count between two lives of a worker: whoever starts has only what came after it to read, and not every plan
// there ever was. Any worker's count serves any other, an older one as well: it only leaves more to read.
type kept struct {
	Newest string               `json:"newest"` // the subject of the newest record that was read
	Seq    uint64               `json:"seq"`    // and its place in the ledger
	Since  map[string]time.Time `json:"since"`  // as holds has it
}

// recall takes a count up, and reports whether data is one.
func (h *holds) recall(data []byte) bool {
	var k kept
	if json.Unmarshal(data, &k) != nil || k.Newest == "" {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.newest, h.seq, h.since, h.kept = k.Newest, k.Seq, maps.Clone(k.Since), k
	return true
}

// keep gives what is to be kept of the count; nil when what is kept will do.
func (h *holds) keep(now time.Time) ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	same := maps.Equal(h.since, h.kept.Since)
	if same && (h.seq == h.kept.Seq || now.Sub(h.keptAt) < holdsKeep) {
		return nil, nil
	}
	k := kept{Newest: h.newest, Seq: h.seq, Since: maps.Clone(h.since)}
	data, err := json.Marshal(k)
	if err != nil || len(data) > holdsMost {
		return nil, err
	}
	h.kept, h.keptAt = k, now
	return data, nil
}

// recallHolds takes up the count of an earlier life, or of another worker, and reports whether there is one.
func (w *Worker) recallHolds(ctx context.Context) bool {
	data, _, err := w.bus.Lanes().Get(ctx, holdsKey)
	if err == nil {
		return w.holds.recall(data)
	}
	if !errors.Is(err, stream.ErrNotFound) && ctx.Err() == nil {
		w.log.WarnContext(ctx, "held plans are counted anew: what was kept of the last count cannot be read", "error", err)
	}
	return false
}

// keepHolds keeps a count for the next start, once all that it counts is on disk: records that a power cut took may have
// others in their places. Dying before or after it: the next start reads more, or less.
func (w *Worker) keepHolds(ctx context.Context, now time.Time) {
	data, err := w.holds.keep(now)
	if err == nil && data != nil {
		if err = w.bus.Barrier(ctx); err == nil {
			_, err = w.bus.Lanes().Put(ctx, holdsKey, data)
		}
	}
	if err != nil && ctx.Err() == nil {
		w.log.WarnContext(ctx, "count of held plans not kept: the next start reads the ledger further back", "error", err)
	}
}

// worthwhile is how much there must be on the heap, in bytes, for a start to clean up after itself.
const worthwhile = 64 << 20

// Blocks that the broker read are in its pool after one collection, and gone after three.
const (
	afterIndex  = 1
	afterBlocks = 3
)

// giveBack returns to the system what a start over a large ledger left behind: the files that the embedded broker read its
// index from, and what the ledger was read with. That is more than is in use afterwards, and a process with little to
// do would keep it for minutes.
func giveBack(rounds int) {
	if rounds == 0 {
		return
	}
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(heap)
	if heap[0].Value.Kind() != metrics.KindUint64 || heap[0].Value.Uint64() < worthwhile {
		return
	}
	for range rounds - 1 {
		runtime.GC()
	}
	debug.FreeOSMemory()
}
