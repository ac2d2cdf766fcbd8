package stream

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
)

// metrics counts what a Bus does. Labels come from closed sets: streams, operations, results.
type metrics struct {
	writes   *prometheus.CounterVec
	settled  *prometheus.CounterVec
	panics   *prometheus.CounterVec
	barriers *prometheus.HistogramVec
	filled   prometheus.Gauge
}

// newMetrics registers the metrics. Two buses of one process share them.
func newMetrics(reg prometheus.Registerer, barrier *Barrier) (*metrics, error) {
	m := &metrics{
		writes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "keyturn_stream_writes_total",
			Help: "Publishes by operation and result."}, []string{"op", "result"}),
		settled: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "keyturn_stream_settled_total",
			Help: "Messages settled, by stream and verdict."}, []string{"stream", "verdict"}),
		panics: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "keyturn_stream_panics_total",
			Help: "Deliveries of messages that met a fault of Keyturn, by stream: each of them comes again every minute."}, []string{"stream"}),
		barriers: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "keyturn_stream_barrier_seconds",
			Help: "Waits for the durability barrier, by result.", Buckets: prometheus.ExponentialBuckets(.0001, 4, 9)},
			[]string{"result"}),
		filled: prometheus.NewGauge(prometheus.GaugeOpts{Name: "keyturn_stream_events_filled_ratio",
			Help: "How much of the room of accepted events is taken, of 1."}),
	}
	if reg == nil {
		return m, nil
	}
	var err error
	if m.writes, err = register(reg, m.writes); err != nil {
		return nil, err
	}
	if m.settled, err = register(reg, m.settled); err != nil {
		return nil, err
	}
	if m.panics, err = register(reg, m.panics); err != nil {
		return nil, err
	}
	if m.barriers, err = register(reg, m.barriers); err != nil {
		return nil, err
	}
	if m.filled, err = register(reg, m.filled); err != nil {
		return nil, err
	}
	if barrier != nil {
		_, err = register(reg, prometheus.Collector(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "keyturn_stream_barrier_rounds_total", Help: "Syncs that the durability barrier made.",
		}, func() float64 { return float64(barrier.Stats().Rounds) })))
	}
	return m, err
}

// register adds c to reg, or gives the one that stands there already.
func register[C prometheus.Collector](reg prometheus.Registerer, c C) (C, error) {
	err := reg.Register(c)
	var there prometheus.AlreadyRegisteredError
	if errors.As(err, &there) {
		if old, ok := there.ExistingCollector.(C); ok {
			return old, nil
		}
	}
	return c, err
}

func (m *metrics) wrote(op Op, result string) { m.writes.WithLabelValues(string(op), result).Inc() }

func (m *metrics) settle(stream, verdict string) { m.settled.WithLabelValues(stream, verdict).Inc() }

func (m *metrics) panicked(stream string) { m.panics.WithLabelValues(stream).Inc() }

func (m *metrics) waited(d time.Duration, err error) {
	result := "ok"
	if err != nil {
		result = "error"
	}
	m.barriers.WithLabelValues(result).Observe(d.Seconds())
}

// OutcomeLag reads how far those are behind who tell others what changed: the relay that makes outcomes of the ledger, and
// the web hook. One that never began is left out.
func (b *Bus) OutcomeLag(ctx context.Context) ([]Lag, error) {
	var lags []Lag
	for _, c := range []Consumer{Records(), Outcomes()} {
		made, err := b.js.Consumer(ctx, c.stream, c.name)
		if errors.Is(err, jetstream.ErrConsumerNotFound) {
			continue
		}
		if err != nil {
			return nil, refusal("lag of "+c.String(), err)
		}
		lags = append(lags, lagOf(c.stream, made.CachedInfo()))
	}
	return lags, nil
}

// lagOf is how far a consumer is behind, as the server tells.
func lagOf(stream string, i *jetstream.ConsumerInfo) Lag {
	return Lag{Stream: stream, Consumer: i.Name, Waiting: i.NumPending, InHand: i.NumAckPending, Delivered: i.NumRedelivered,
		filter: i.Config.FilterSubject, floor: i.AckFloor.Stream}
}

// Oldest gives when the oldest message before a consumer was stored; the zero time = there is none.
func (b *Bus) Oldest(ctx context.Context, l Lag) (time.Time, error) {
	if l.Waiting == 0 && l.InHand == 0 {
		return time.Time{}, nil
	}
	s, err := b.stream(ctx, l.Stream)
	if err != nil {
		return time.Time{}, refusal("oldest of "+l.Consumer, err)
	}
	at, err := oldest(ctx, s, l.filter, l.floor)
	return at, refusal("oldest of "+l.Consumer, err)
}

// oldest gives when the first message of a filter was stored that is not settled, where all up to floor are; the zero time =
// there is none.
func oldest(ctx context.Context, s jetstream.Stream, filter string, floor uint64) (time.Time, error) {
	first, err := s.GetMsg(ctx, floor+1, jetstream.WithGetMsgSubject(filter))
	switch {
	case err == nil:
		return first.Time, nil
	case errors.Is(err, jetstream.ErrMsgNotFound): // settled meanwhile
		return time.Time{}, nil
	}
	return time.Time{}, err
}
