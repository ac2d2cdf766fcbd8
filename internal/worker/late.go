package worker

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// MetricLate counts the cases that neared, or missed, the time in which they were to be verified.
const MetricLate = "keyturn_case_late_total"

// lateCounter makes the counter of late cases. Workers of one process share it.
func lateCounter(reg prometheus.Registerer) (*prometheus.CounterVec, error) {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: MetricLate,
		Help: "Cases that were not verified when their time was nearly over (near) and over (missed), by class."}, []string{"class", "clock"})
	if reg == nil {
		return c, nil
	}
	err := reg.Register(c)
	if already, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if same, ok := already.ExistingCollector.(*prometheus.CounterVec); ok {
			return same, nil
		}
	}
	return c, err
}
