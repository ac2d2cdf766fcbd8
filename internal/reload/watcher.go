// Package reload brings a changed configuration into a running process, without a restart.
//
// Its contract: what is in force is always one configuration, which was read whole and found right. A change is known
// by what the files say, not by when they were touched: Kubernetes swaps a symlink above a mounted configuration,
// editors put a new file in an old one's place, and neither is an event of the file itself. Every file counts that was
// read for the configuration, those of secrets too; a file that is just being written is given time to be finished. A
// change that is wrong is refused as a whole, and what was in force stays: the log says so at once, a metric as long as
// it lasts, and /readyz?verbose since when and why. SIGHUP loads at once, and again what was refused.
//
// It knows nothing of what is configured: whoever runs a process says how its configuration is loaded and put in force.
package reload

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"keyturn/internal/admin"
	"keyturn/internal/config"
	"keyturn/internal/shield"
)

// settle is how long the files must say the same before a change is loaded: half a file may be a valid one, without
// the guards at its end.
const settle = time.Second

// torn bounds how often a reading is begun anew because the files changed under it.
const torn = 3

// Load reads the whole configuration with refs, checks it, and gives what puts it in force. Until that is called, and
// when there is an error, nothing may have changed.
type Load func(refs config.Resolver) (apply func(), err error)

// Options of a Watcher. All but Every and Hangup are needed.
type Options struct {
	First   *Reading // what is in force at the start
	Load    Load
	Every   time.Duration    // how often the files are looked at; 0 = never
	Hangup  <-chan os.Signal // loads at once; nil = never
	Log     *slog.Logger
	Metrics prometheus.Registerer
}

// Watcher keeps the configuration of a process at what its files say.
type Watcher struct {
	opts    Options
	metrics *metrics

	last map[string]string // what a changed file said at the last look; of Run alone

	mu      sync.Mutex
	active  *Reading
	since   time.Time
	refused string // why what the files say is not in force; empty = it is
	from    time.Time
}

// New makes a watcher, and registers its metrics.
func New(o Options) (*Watcher, error) {
	w := &Watcher{opts: o, active: o.First, since: time.Now()}
	var err error
	if w.metrics, err = newMetrics(o.Metrics); err != nil {
		return nil, fmt.Errorf("watch the configuration: %w", err)
	}
	w.metrics.loaded.SetToCurrentTime()
	return w, nil
}

// Run watches until ctx ends. Its error is nil.
func (w *Watcher) Run(ctx context.Context) error {
	timer := time.NewTimer(w.opts.Every)
	defer timer.Stop()
	look := timer.C
	if w.opts.Every <= 0 {
		look = nil
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.opts.Hangup:
			w.opts.Log.InfoContext(ctx, "told to load the configuration")
			w.load(ctx, true)
		case <-look:
			timer.Reset(w.look(ctx))
		}
	}
}

// look loads the configuration if its files say something else than what is in force, and said the same at the last
// look. It gives the time until the next one.
func (w *Watcher) look(ctx context.Context) time.Duration {
	active := w.reading()
	now := active.now()
	switch {
	case maps.Equal(now, active.then()):
		w.last = nil
		w.mended(ctx)
		return w.opts.Every
	case !maps.Equal(now, w.last):
		w.last = now
		return min(w.opts.Every, settle)
	}
	w.load(ctx, false)
	return w.opts.Every
}

// load reads the configuration and puts it in force, or refuses it. A refusal is told once for each reason, unless
// somebody asked.
func (w *Watcher) load(ctx context.Context, asked bool) {
	for range torn {
		reading := NewReading()
		apply, err := w.shielded(reading)
		switch {
		case reading.changed(): // what was read may be half of two configurations
		case err != nil:
			w.refuse(ctx, err, asked)
			return
		default:
			apply()
			w.accept(ctx, reading)
			return
		}
	}
	w.refuse(ctx, errors.New("its files change while they are read"), asked)
}

// shielded reads the configuration. A panic, which is a fault of ours that something in it met, is an error of it.
func (w *Watcher) shielded(reading *Reading) (apply func(), err error) {
	if met := shield.Run(func() { apply, err = w.opts.Load(reading.Resolver()) }); met != nil {
		return nil, met
	}
	return apply, err
}

// accept notes what is in force now.
func (w *Watcher) accept(ctx context.Context, reading *Reading) {
	w.mu.Lock()
	w.active, w.since, w.refused = reading, time.Now(), ""
	w.mu.Unlock()
	w.last = nil
	w.metrics.loads.WithLabelValues(resultLoaded).Inc()
	w.metrics.refused.Set(0)
	w.metrics.loaded.SetToCurrentTime()
	w.opts.Log.InfoContext(ctx, "configuration loaded", "files", reading.String())
}

// refuse notes that what the files say is not in force.
func (w *Watcher) refuse(ctx context.Context, err error, asked bool) {
	w.mu.Lock()
	known := w.refused == err.Error()
	if w.refused == "" {
		w.from = time.Now()
	}
	w.refused = err.Error()
	active := w.active.String()
	w.mu.Unlock()
	w.metrics.refused.Set(1)
	if known && !asked {
		return
	}
	w.metrics.loads.WithLabelValues(resultRefused).Inc()
	w.opts.Log.ErrorContext(ctx, "configuration refused: the one before stays in force", "error", err, "in_force", active)
	if met, ok := errors.AsType[*shield.Panic](err); ok {
		met.Tell(ctx, w.opts.Log, "the changed configuration meets a fault of Keyturn; the one before stays in force")
	}
}

// mended notes that the files say again what is in force.
func (w *Watcher) mended(ctx context.Context) {
	w.mu.Lock()
	was := w.refused != ""
	w.refused = ""
	w.mu.Unlock()
	if was {
		w.metrics.refused.Set(0)
		w.opts.Log.InfoContext(ctx, "configuration in force again as its files say")
	}
}

func (w *Watcher) reading() *Reading {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.active
}

// Check is the configuration's part of /readyz. A refused one does not make the process unready: it works on by the one
// before.
func (w *Watcher) Check() admin.Check {
	return admin.Check{Name: "configuration", Run: func(context.Context) error { return nil }, Notes: w.notes}
}

// maxWhy bounds what /readyz?verbose says about a refused configuration, in bytes; the log has all of it.
const maxWhy = 1000

// notes says what is in force since when, and why the files are not.
func (w *Watcher) notes() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := w.active.String() + " in force since " + w.since.UTC().Format(time.RFC3339)
	if w.refused == "" {
		return text
	}
	why := strings.ReplaceAll(w.refused, "\n", "; ")
	if len(why) > maxWhy {
		why = strings.ToValidUTF8(why[:maxWhy], "") + " …"
	}
	return text + "; what the files say is REFUSED since " + w.from.UTC().Format(time.RFC3339) + ": " + why
}

// The results of a load, as labels.
const (
	resultLoaded  = "loaded"
	resultRefused = "refused"
)

// metrics tell how loading went.
type metrics struct {
	loads   *prometheus.CounterVec
	refused prometheus.Gauge
	loaded  prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		loads: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "keyturn_config_loads_total",
			Help: "Changed configurations loaded while the process ran, by result."}, []string{"result"}),
		refused: prometheus.NewGauge(prometheus.GaugeOpts{Name: "keyturn_config_refused",
			Help: "1 while the configuration's files are wrong and the one before is in force."}),
		loaded: prometheus.NewGauge(prometheus.GaugeOpts{Name: "keyturn_config_loaded_timestamp_seconds",
			Help: "When the configuration in force was loaded, in seconds since 1970."}),
	}
	for _, c := range []prometheus.Collector{m.loads, m.refused, m.loaded} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	for _, result := range []string{resultLoaded, resultRefused} {
		m.loads.WithLabelValues(result)
	}
	return m, nil
}
