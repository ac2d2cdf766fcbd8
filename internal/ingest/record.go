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
	err      error
	took     time.Duration
}

// log writes the one line of a delivery.
func (r record) log(ctx context.Context, log *slog.Logger) {
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
	if r.err != nil {
		attrs = append(attrs, slog.String("error", r.err.Error()))
	}
	log.LogAttrs(ctx, level, "delivery", attrs...)
}

// statuses are all that a Handler answers.
func statuses() []int {
	return []int{
		http.StatusAccepted, http.StatusBadRequest, http.StatusUnauthorized, http.StatusNotFound,
		http.StatusMethodNotAllowed, http.StatusRequestTimeout, http.StatusRequestEntityTooLarge,
		http.StatusUnsupportedMediaType, http.StatusServiceUnavailable,
	}
}

type metrics struct {
	deliveries *prometheus.CounterVec
	events     *prometheus.CounterVec
	signed     *prometheus.CounterVec
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
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "keyturn_ingest_delivery_seconds",
			Help: "Time from a request's header to its answer.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 14)}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Name: "keyturn_ingest_in_flight",
			Help: "Deliveries being worked on now."}),
	}
	for _, c := range []prometheus.Collector{m.deliveries, m.events, m.signed, m.seconds, m.inFlight} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	m.deliveries.WithLabelValues(unknownSource, strconv.Itoa(http.StatusNotFound))
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
	if r.stored {
		for _, e := range r.events {
			m.events.WithLabelValues(r.source, e.Name()).Inc()
		}
	}
}
