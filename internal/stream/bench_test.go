package stream_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/stream"
	"keyturn/internal/stream/embedded"
	"keyturn/internal/stream/slowsync"
)

// syncDelay is what a sync costs in the slow half of BenchmarkPublish: a cloud volume or a consumer disk.
var syncDelay = flag.Duration("syncdelay", 2*time.Millisecond, "delay of every fsync and syncfs in the slow benchmarks")

// slow installs the delay once: it stays for the life of the process.
var slow = sync.OnceValues(slowsync.Install)

// BenchmarkPublish stores events of 1 KiB: on the disk as it is, then with every fsync and syncfs of the process
// delayed alike (package slowsync), so that the server's own sync per message and the shared barrier meet the same
// disk. Run it with -count=1: once installed, the delay costs every sync some ten microseconds even when it is zero.
//
//	go test -run '^$' -bench Publish -benchtime 2s ./internal/stream
func BenchmarkPublish(b *testing.B) {
	for _, delay := range []time.Duration{0, *syncDelay} {
		for _, durability := range []stream.Durability{stream.Group, stream.Always, stream.None} {
			for _, publishers := range []int{1, 64} {
				b.Run(fmt.Sprintf("sync=+%s/%s/%d", delay, durability, publishers), func(b *testing.B) {
					benchPublish(b, delay, durability, publishers)
				})
			}
		}
	}
}

func benchPublish(b *testing.B, delay time.Duration, durability stream.Durability, publishers int) {
	if delay > 0 {
		d, err := slow()
		if err != nil {
			b.Skip(err)
		}
		d.Set(delay)
		defer d.Set(0)
	}
	bus := connect(b, start(b, embedded.Options{Durability: durability}))
	e := event("")
	var err error
	if e.Data, err = json.Marshal(map[string]any{"user": map[string]string{"email": "maria@acme.example"},
		"reason": strings.Repeat("x", 600)}); err != nil {
		b.Fatal(err)
	}
	var next atomic.Int64
	failed := make([]error, publishers)
	b.ResetTimer()
	var wg sync.WaitGroup
	for i := range publishers {
		wg.Go(func() {
			for {
				n := next.Add(1)
				if n > int64(b.N) {
					return
				}
				e := e
				e.ID = fmt.Sprint(b.N, "-", n) // new in every round of the benchmark
				if failed[i] = bus.PublishEvents(b.Context(), []events.Event{e}); failed[i] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	if err := errors.Join(failed...); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
