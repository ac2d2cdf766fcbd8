package worker

import (
	"github.com/prometheus/client_golang/prometheus"

	"keyturn/internal/events"
)

// MetricLate counts the cases that neared, or missed, the time in which they were to be verified.
const MetricLate = "keyturn_case_late_total"

// lateCounter makes the counter of late cases; reg may be nil.
func lateCounter(reg prometheus.Registerer) (*prometheus.CounterVec, error) {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: MetricLate,
		Help: "Cases that were not verified when their time was nearly over (near) and over (missed), by class."}, []string{"class", "clock"})
	for _, class := range events.Classes() {
		for _, clock := range []string{"near", "missed"} {
			c.WithLabelValues(string(class), clock) // from 0 on: an increase from nothing to 1 is none to Prometheus
		}
	}
	if reg == nil {
		return c, nil
	}
	return c, reg.Register(c)
}
