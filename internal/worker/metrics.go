package worker

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"keyturn/internal/events"
	"keyturn/internal/lane"
	"keyturn/internal/planner"
	"keyturn/internal/reads"
	"keyturn/internal/stream"
)

const (
	// gaugeEvery is how often the broker is asked what waits. Scrapes read what it said last.
	gaugeEvery = 15 * time.Second
	// gaugeStale is how old an answer may be and still be told: a broker that is away leaves a gap, not an old figure.
	gaugeStale = time.Minute
)

// gauges tell Prometheus how the lanes stand and how far the consumers are behind. Labels come from closed sets: the
// connections of the configuration, the classes, the buckets of the providers' clients, and the states below.
type gauges struct {
	worker *Worker

	mu     sync.Mutex
	asked  time.Time // when the broker last answered
	queues []stream.Queue
	lags   []lag
	dead   uint64
	pauses []planner.Pause // a lane with nothing to do does not know of them
}

var (
	descState = prometheus.NewDesc("keyturn_lane_state",
		"1 for the state that the lane is in at this worker: not_held (by this one), open (breaker), paused, working.", []string{"connection", "state"}, nil)
	descBreaker = prometheus.NewDesc("keyturn_lane_breaker_open",
		"1 while the breaker of a lane that this worker holds is open for that fault: refused (the credential), unreachable (the provider).",
		[]string{"connection", "fault"}, nil)
	descLacks = prometheus.NewDesc("keyturn_lane_rights_missing",
		"Rights that the credential lacks; the actions that need one wait, the others go on.", []string{"connection"}, nil)
	descFlying = prometheus.NewDesc("keyturn_lane_calls_in_flight",
		"Calls under way to the provider.", []string{"connection"}, nil)
	descCeiling = prometheus.NewDesc("keyturn_lane_calls_ceiling",
		"Calls that may be under way at a time at present.", []string{"connection"}, nil)
	descCalls = prometheus.NewDesc("keyturn_lane_calls_total",
		"Calls that went out since this worker holds the lane.", []string{"connection", "bucket"}, nil)
	descActions = prometheus.NewDesc("keyturn_lane_actions_total",
		"Actions settled for good since this worker holds the lane.", []string{"connection"}, nil)
	descHand = prometheus.NewDesc("keyturn_lane_actions_in_hand",
		"Actions taken from the broker and not yet settled.", []string{"connection", "class"}, nil)
	descGate = prometheus.NewDesc("keyturn_lane_calls_at_gate",
		"Calls that wait for budget or for a place.", []string{"connection", "class"}, nil)
	descLimit = prometheus.NewDesc("keyturn_lane_bucket_limit",
		"Calls a window, as the provider last told.", []string{"connection", "bucket"}, nil)
	descLeft = prometheus.NewDesc("keyturn_lane_bucket_left",
		"Calls that the lane may still make in the window that runs; missing while none is known to run.", []string{"connection", "bucket"}, nil)
	descPaused = prometheus.NewDesc("keyturn_lane_bucket_paused_seconds",
		"How much longer the provider wants to be left alone; 0 = it does not. The bucket of its token endpoint counts only while no good token is in hand.", []string{"connection", "bucket"}, nil)
	descQueue = prometheus.NewDesc("keyturn_lane_queue",
		"Actions at the broker, of the lanes that this worker holds: waiting (never taken), taken (in hand, or given back for less than a minute), later, and visits: looks to come at what is done, which are no work that waits.",
		[]string{"connection", "class", "state"}, nil)
	descOldest = prometheus.NewDesc("keyturn_lane_oldest_seconds",
		"How long the oldest action that waits or is taken is at the broker; 0 = there is none.", []string{"connection", "class"}, nil)
	descLag = prometheus.NewDesc("keyturn_consumer_lag",
		"Messages before a consumer of events, due events or commands, or of one that tells what changed (outcomes, hook), by state: waiting, in_hand. The same at each worker.",
		[]string{"stream", "consumer", "state"}, nil)
	descAge = prometheus.NewDesc("keyturn_consumer_oldest_seconds",
		"How long the oldest message before such a consumer is at the broker, waiting or in hand; 0 = there is none. The same at each worker.",
		[]string{"stream", "consumer"}, nil)
	descDead = prometheus.NewDesc("keyturn_dead_letters",
		"What waits for a person in `keyturn dead`. The same at each worker.", nil, nil)
)

// Describe implements prometheus.Collector.
func (g *gauges) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descState, descBreaker, descLacks, descFlying, descCeiling, descCalls, descActions, descHand, descGate, descLimit,
		descLeft, descPaused, descQueue, descOldest, descLag, descAge, descDead} {
		to <- d
	}
}

// Collect implements prometheus.Collector. It asks nobody.
func (g *gauges) Collect(to chan<- prometheus.Metric) {
	now := time.Now()
	for _, l := range g.worker.fleet.lanes() {
		told := standing(l, "", nil, now)
		if told.Standing == reads.Working && g.paused(l.Connection, now) {
			told.Standing = reads.Halted
		}
		for _, s := range reads.Standings() {
			is := 0.0
			if s == told.Standing {
				is = 1
			}
			to <- prometheus.MustNewConstMetric(descState, prometheus.GaugeValue, is, l.Connection, string(s))
		}
		state, held := l.State()
		if !held {
			continue
		}
		collectLane(to, l.Connection, state, now)
	}
	g.collectQueues(to, now)
}

// paused reports whether a pause of the lane held when the ledger was last asked.
func (g *gauges) paused(connection string, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.ContainsFunc(g.pauses, func(p planner.Pause) bool { return p.Stops(connection) && now.Before(p.Until) })
}

// collectLane tells what the holder of a lane knows of it.
func collectLane(to chan<- prometheus.Metric, connection string, state lane.State, now time.Time) {
	for _, fault := range lane.Faults() {
		open := 0
		if fault == state.Fault {
			open = 1
		}
		gauge(to, descBreaker, open, connection, string(fault))
	}
	gauge(to, descLacks, len(state.Lacks), connection)
	gauge(to, descFlying, state.InFlight, connection)
	gauge(to, descCeiling, state.Ceiling, connection)
	to <- prometheus.MustNewConstMetric(descActions, prometheus.CounterValue, float64(state.Done), connection)
	for _, class := range events.Classes() {
		gauge(to, descHand, state.InHand[class], connection, string(class))
		gauge(to, descGate, state.AtGate[class], connection, string(class))
	}
	to <- prometheus.MustNewConstMetric(descPaused, prometheus.GaugeValue, max(state.TokenHeld.Sub(now), 0).Seconds(), connection, reads.TokenEndpoint)
	for _, b := range state.Buckets {
		w := windowOf(b, now)
		to <- prometheus.MustNewConstMetric(descCalls, prometheus.CounterValue, float64(b.Calls), connection, b.Bucket)
		to <- prometheus.MustNewConstMetric(descPaused, prometheus.GaugeValue, max(b.Pause.Sub(now), 0).Seconds(), connection, b.Bucket)
		if w.Limit > 0 {
			gauge(to, descLimit, w.Limit, connection, b.Bucket)
		}
		if w.Known {
			gauge(to, descLeft, w.Left, connection, b.Bucket)
		}
	}
}

// collectQueues tells what the broker said last.
func (g *gauges) collectQueues(to chan<- prometheus.Metric, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now.Sub(g.asked) > gaugeStale {
		return
	}
	for _, q := range g.queues {
		connection, class := q.Connection, string(q.Class)
		gauge(to, descQueue, int(q.Waiting), connection, class, "waiting") //nolint:gosec // a count of messages
		gauge(to, descQueue, q.Taken, connection, class, "taken")
		gauge(to, descQueue, int(q.Later), connection, class, "later")   //nolint:gosec // as above
		gauge(to, descQueue, int(q.Visits), connection, class, "visits") //nolint:gosec // as above
		to <- prometheus.MustNewConstMetric(descOldest, prometheus.GaugeValue, age(q.Oldest, now), connection, class)
	}
	for _, l := range g.lags {
		gauge(to, descLag, int(l.Waiting), l.Stream, l.Consumer, "waiting") //nolint:gosec // as above
		gauge(to, descLag, l.InHand, l.Stream, l.Consumer, "in_hand")
		to <- prometheus.MustNewConstMetric(descAge, prometheus.GaugeValue, age(l.oldest, now), l.Stream, l.Consumer)
	}
	gauge(to, descDead, int(g.dead)) //nolint:gosec // as above
}

// age is how long something is there, in seconds; 0 of what is not.
func age(since, now time.Time) float64 {
	if since.IsZero() {
		return 0
	}
	return max(now.Sub(since), 0).Seconds()
}

func gauge(to chan<- prometheus.Metric, d *prometheus.Desc, n int, labels ...string) {
	to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(n), labels...)
}

// run asks the broker what waits until ctx ends.
func (g *gauges) run(ctx context.Context) {
	tick := time.NewTicker(gaugeEvery)
	defer tick.Stop()
	for {
		if err := g.ask(ctx); err != nil && ctx.Err() == nil {
			g.worker.log.WarnContext(ctx, "queues not counted", "error", err, "retry_in", gaugeEvery)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// planning reports whether the consumer is one of the planner's. Those of the lanes are told by connection and class,
// and readers that come and go are nobody's work.
func planning(consumer string) bool {
	kind, _, _ := strings.Cut(consumer, "_")
	return kind == "events" || kind == "due" || kind == "commands" || kind == "faults"
}

// ask asks once.
func (g *gauges) ask(ctx context.Context) error {
	var held []string
	for _, l := range g.worker.fleet.lanes() {
		if l.Epoch() > 0 {
			held = append(held, l.Connection)
		}
	}
	var queues []stream.Queue
	var err error
	if len(held) > 0 { // without a name all would be counted
		if queues, err = g.worker.bus.Queues(ctx, held...); err != nil {
			return err
		}
	}
	lags, err := g.behind(ctx)
	if err != nil {
		return err
	}
	dead, err := g.worker.bus.CountDead(ctx)
	if err != nil {
		return err
	}
	pauses, err := planner.Pauses(ctx, g.worker.runner.Ledger, g.worker.bus.Come())
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked, g.queues, g.lags, g.dead, g.pauses = time.Now(), queues, lags, dead, pauses
	return nil
}

// lag is how far a consumer is behind, and since when.
type lag struct {
	stream.Lag
	oldest time.Time // of what is before it; zero = nothing is
}

// behind asks how far the planner's consumers are behind, and those that tell others.
func (g *gauges) behind(ctx context.Context) ([]lag, error) {
	all, err := g.worker.bus.Lag(ctx)
	if err != nil {
		return nil, err
	}
	telling, err := g.worker.bus.OutcomeLag(ctx)
	if err != nil {
		return nil, err
	}
	var lags []lag
	for _, l := range append(slices.DeleteFunc(all, func(l stream.Lag) bool { return !planning(l.Consumer) }), telling...) {
		oldest, err := g.worker.bus.Oldest(ctx, l)
		if err != nil {
			return nil, err
		}
		lags = append(lags, lag{l, oldest})
	}
	return lags, nil
}
