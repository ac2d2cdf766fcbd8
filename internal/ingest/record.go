package ingest

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"keyturn/internal/events"
)

// unknownSource stands for whatever a request named that is no source: what strangers write into a path is no label.
const unknownSource = "unknown"

// record is what one delivery leaves behind: a log line and some counts. It holds nothing of a body and no name of a
// person.
type record struct {
	source   string
	status   int
	bytes    int
	verified bool
	key      int
	events   []events.Event
	cases    []string
	stored   bool
	// Of a source with a mapping: how many items the delivery held, and how many of them made no event and why.
	items, unknown, skipped, faults int
	handshake                       bool
	err                             error
	took                            time.Duration
	sampler                         *sampler // of the source; nil = every line is written
}

// log writes the one line of a delivery. Of those that proved nothing it writes a few, with the number of those left
// out before them, and tells when this one is left out.
func (r record) log(ctx context.Context, log *slog.Logger, now time.Time) (leftOut bool) {
	var before int
	if !r.verified && r.sampler != nil {
		var ok bool
		if ok, before = r.sampler.take(now); !ok {
			return true
		}
	}
	level := slog.LevelInfo
	switch {
	case r.status >= http.StatusInternalServerError:
		level = slog.LevelError
	case r.status >= http.StatusBadRequest:
		level = slog.LevelWarn
	}
	attrs := []slog.Attr{
		slog.String("source", r.source), slog.Int("status", r.status), slog.Int("bytes", r.bytes),
		slog.Int("events", len(r.events)), slog.Any("cases", r.cases), slog.Duration("took", r.took),
	}
	if r.verified {
		attrs = append(attrs, slog.Int("key", r.key))
	}
	if before > 0 {
		attrs = append(attrs, slog.Int("left_out", before))
	}
	if r.handshake {
		attrs = append(attrs, slog.Bool("handshake", true))
	}
	if r.items > 0 {
		attrs = append(attrs, slog.Int("items", r.items), slog.Int("unknown", r.unknown), slog.Int("skipped", r.skipped), slog.Int("faults", r.faults))
	}
	if r.err != nil {
		attrs = append(attrs, slog.String("error", r.err.Error()))
	}
	log.LogAttrs(ctx, level, "delivery", attrs...)
	return false
}

// statuses are all that a Handler answers.
func statuses() []int {
	return []int{
		http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent, http.StatusBadRequest, http.StatusUnauthorized, http.StatusNotFound,
		http.StatusMethodNotAllowed, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge,
		http.StatusUnsupportedMediaType, http.StatusServiceUnavailable,
	}
}

// The names of the figures that say what made no event.
const (
	MetricUnmapped   = "keyturn_ingest_unmapped_total"
	MetricHandshakes = "keyturn_ingest_handshakes_total"
)

// Why an item made no event.
const (
	whyUnknown = "unknown"
	whySkipped = "skipped"
	whyFault   = "fault"
)

type metrics struct {
	deliveries *prometheus.CounterVec
	events     *prometheus.CounterVec
	signed     *prometheus.CounterVec
	unmapped   *prometheus.CounterVec
	handshakes *prometheus.CounterVec
	leftOut    *prometheus.CounterVec
	polls      *prometheus.CounterVec
	seconds    prometheus.Histogram
	inFlight   prometheus.Gauge
}

// newMetrics registers the figures. All labels are closed sets: configured names, the catalogue, the statuses.
func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "keyturn_ingest_deliveries_total",
			Help: "HTTP requests answered, by source and status."}, []string{"source", "status"}),
		events: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "keyturn_ingest_events_total",
			Help: "Events stored and answered 202, by source and name, repeats included."}, []string{"source", "event"}),
		signed: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "keyturn_ingest_verified_total",
			Help: "Deliveries with a good signature, by source and index of the secret that signed."}, []string{"source", "key"}),
		unmapped: prometheus.NewCounterVec(prometheus.CounterOpts{Name: MetricUnmapped,
			Help: "Items of deliveries that made no event, by source and why: unknown (a word that the table does not hold), skipped (known to make none), fault (a dead letter)."}, []string{"source", "why"}),
		handshakes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: MetricHandshakes,
			Help: "Handshakes answered, by source."}, []string{"source"}),
		leftOut: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "keyturn_ingest_log_lines_left_out_total",
			Help: "Deliveries that proved nothing and were counted, but not logged, by source."}, []string{"source"}),
		polls: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "keyturn_ingest_polls_total",
			Help: "Requests for the tokens of a source, by source and outcome: ok or failed."}, []string{"source", "outcome"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "keyturn_ingest_delivery_seconds",
			Help: "Time from a request's header to its answer.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 14)}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Name: "keyturn_ingest_in_flight",
			Help: "Deliveries being worked on now."}),
	}
	for _, c := range []prometheus.Collector{m.deliveries, m.events, m.signed, m.unmapped, m.handshakes, m.leftOut, m.polls, m.seconds, m.inFlight} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	m.deliveries.WithLabelValues(unknownSource, strconv.Itoa(http.StatusNotFound))
	m.leftOut.WithLabelValues(unknownSource)
	return m, nil
}

// begin sets every series of the sources to zero, unless it counts already, so that a rate over the first of its kind
// is right.
func (m *metrics) begin(sources []*Source) {
	for _, s := range sources {
		for _, status := range statuses() {
			m.deliveries.WithLabelValues(s.name, strconv.Itoa(status))
		}
		for _, row := range events.Catalogue() {
			m.events.WithLabelValues(s.name, row.Name)
		}
		for _, why := range []string{whyUnknown, whySkipped, whyFault} {
			m.unmapped.WithLabelValues(s.name, why)
		}
		m.handshakes.WithLabelValues(s.name)
		m.leftOut.WithLabelValues(s.name)
		if s.poller != nil {
			m.polls.WithLabelValues(s.name, pollOK)
			m.polls.WithLabelValues(s.name, pollFailed)
		}
		for key := range s.keys {
			m.signed.WithLabelValues(s.name, strconv.Itoa(key))
		}
	}
}

func (m *metrics) observe(r record) {
	m.deliveries.WithLabelValues(r.source, strconv.Itoa(r.status)).Inc()
	m.seconds.Observe(r.took.Seconds())
	if r.verified {
		m.signed.WithLabelValues(r.source, strconv.Itoa(r.key)).Inc()
	}
	for why, n := range map[string]int{whyUnknown: r.unknown, whySkipped: r.skipped, whyFault: r.faults} {
		if n > 0 {
			m.unmapped.WithLabelValues(r.source, why).Add(float64(n))
		}
	}
	if r.handshake {
		m.handshakes.WithLabelValues(r.source).Inc()
	}
	if r.stored {
		for _, e := range r.events {
			m.events.WithLabelValues(r.source, e.Name()).Inc()
		}
	}
}
