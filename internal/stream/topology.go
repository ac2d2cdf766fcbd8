package stream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"keyturn/internal/events"
)

// The streams and buckets. Nothing outside of this file says what they are.
const (
	streamEvents   = "EVENTS"
	streamActions  = "ACTIONS"
	streamSchedule = "SCHEDULE"
	streamCommands = "COMMANDS"
	streamLedger   = "LEDGER"
	streamDead     = "DEAD"
	streamOutcomes = "OUTCOMES"

	bucketLeases = "LEASES"
	bucketLanes  = "LANES"
)

// The first tokens of their subjects.
const (
	prefixEvents     = "events"
	prefixFaults     = "events.fault"
	prefixActions    = "actions"
	prefixLater      = "later"
	prefixVisit      = "visit"
	prefixScheduleAt = "schedule.at"
	prefixDue        = "schedule.due"
	prefixCommands   = "commands"
	prefixDead       = "dead"
	prefixOutcomes   = "outcomes"
)

const (
	month = 30 * 24 * time.Hour
	// dedupWindow is how long a resent event or command is known again by its Nats-Msg-Id. Beyond it the states of the
	// ledger do so. It costs about 130 bytes of memory per message.
	dedupWindow = 2 * time.Hour
	// outcomeWindow is how long an outcome that is told again is known as the same, which its id says for ever: a relay that
	// died does so within seconds. There are five outcomes and more to an event, and each costs the same memory: a burst of
	// 500 events a second for a quarter of an hour would take 195 MB of it with ten minutes, and takes 39 MB.
	outcomeWindow = 2 * time.Minute
	// serverWindow is how long a server knows a Nats-Msg-Id where nobody says (StreamDefaultDuplicatesWindow of nats-server).
	serverWindow = 2 * time.Minute
	// smallBlocks limits nothing: no subject comes to so many messages. A server that finds this limit keeps a stream in
	// blocks of 4 MiB in place of 8, and it has the block that it writes, and those that were just read, in memory.
	smallBlocks = 1 << 40
	// leaseTTL is when the lease of a dead worker ends. A take-over follows within leaseTTL and the server's 1 s tick.
	leaseTTL = 9 * time.Second
	// ackWait is when the message of a dead worker is delivered again: with the take-over of its lease it moves within
	// 15 s.
	ackWait = 10 * time.Second
	// eventShare of a store is what EVENTS may fill: the ledger needs the rest.
	eventShare = 4
	// defaultEventBytes bounds EVENTS where the size of the store is unknown.
	defaultEventBytes = 4 << 30
)

// topology is every stream, those of the key-value buckets too, with what it keeps and for how long.
func (o Options) topology() []jetstream.StreamConfig {
	return []jetstream.StreamConfig{
		// What waits for later has the subject later.<connection>.<class>.<action>, and later.<action> of old; looks to come at
		// what is done have visit.<connection>.<class>.<action>: they are no work that waits. Purged below the consumers' ack
		// floors by the janitor; schedules forbid discard new.
		{Name: streamActions, Description: "actions to bring about, and those that wait for later",
			Subjects:          []string{prefixActions + ".*.*.*", prefixLater + ".*", prefixLater + ".*.*.*", prefixVisit + ".*.*.*"},
			Duplicates:        dedupWindow,
			MaxMsgsPerSubject: smallBlocks,
			AllowMsgSchedules: true, AllowRollup: true},
		{Name: streamSchedule, Description: "events that take effect in the future",
			Subjects:          []string{prefixScheduleAt + ".*", prefixDue + ".*"},
			AllowMsgSchedules: true, AllowMsgTTL: true, AllowRollup: true},
		{Name: streamCommands, Description: "what operators asked for", Subjects: []string{prefixCommands + ".*.*"},
			MaxAge: month, Duplicates: dedupWindow},
		// Decisions read the leader, never a replica that lags: direct reads are allowed where there is one alone (alone).
		{Name: streamLedger, Description: "the append-only record of everything", Subjects: []string{"ledger.>", "person.>"},
			MaxMsgsPerSubject: smallBlocks, DenyDelete: true},
		{Name: streamDead, Description: "what cannot be done without a person", Subjects: []string{prefixDead + ".>"},
			MaxMsgsPerSubject: 1},
		// Copies of what the ledger says: full, it forgets the oldest.
		{Name: streamOutcomes, Description: "every change of a plan, an action or a case, for whoever subscribes",
			Subjects: []string{prefixOutcomes + ".>"}, MaxAge: month, MaxBytes: o.eventBytes() / 4, Duplicates: outcomeWindow},
		// An Update cannot carry a TTL, so that every key lives as long as the bucket says: nothing else goes in here.
		bucket(bucketLeases, "who holds which lane", leaseTTL),
		bucket(bucketLanes, "what spares a starting worker reading the ledger", 0),
		// The last one to be made: whoever finds it, as an intake does before it is ready, may rely on the others.
		// Full, it refuses, and ingest answers 503: the oldest event is never dropped for the newest.
		{Name: streamEvents, Description: "events and mapping faults, as accepted", Subjects: []string{prefixEvents + ".>"},
			MaxAge: month, MaxBytes: o.eventBytes(), Discard: jetstream.DiscardNew, Duplicates: dedupWindow},
	}
}

// bucket is the stream of a key-value bucket, as clients of every language make it (NATS ADR-8): its keys live as long as life,
// and for ever with 0.
func bucket(name, description string, life time.Duration) jetstream.StreamConfig {
	return jetstream.StreamConfig{Name: "KV_" + name, Description: description, Subjects: []string{"$KV." + name + ".>"},
		MaxMsgsPerSubject: 1, MaxAge: life, Duplicates: min(cmp.Or(life, serverWindow), serverWindow),
		Discard: jetstream.DiscardNew, AllowRollup: true, DenyDelete: true, AllowDirect: true}
}

// ackWait is when a message in hand is delivered again, unless its handler keeps it.
func (o Options) ackWait() time.Duration {
	if o.AckWait > 0 {
		return o.AckWait
	}
	return ackWait
}

// eventBytes bounds EVENTS.
func (o Options) eventBytes() int64 {
	switch {
	case o.EventBytes > 0:
		return o.EventBytes
	case o.StoreBytes > 0:
		return o.StoreBytes / eventShare
	}
	return defaultEventBytes
}

// Consumer is a durable reader of one part of a stream. Its readers share its messages.
type Consumer struct {
	stream, name, filter string
	pending              int  // how many messages may be in hand or given back at a time
	news                 bool // begins with what is written after it was first made
	burst                int  // how many are taken at a time by who is in no hurry; 0 = one, as soon as it is there
	err                  error
}

// String names the consumer for logs and metrics.
func (c Consumer) String() string { return c.stream + "/" + c.name }

// How much may be in hand. A message given back with a delay holds its place, so that a lane has more than it works on
// at a time; longer delays leave the consumer (settle).
const (
	pendingPlans   = 256
	pendingActions = 512
)

// EventsOf reads the events of a class.
func EventsOf(class events.Class) Consumer {
	return Consumer{stream: streamEvents, name: "events_" + string(class), filter: prefixEvents + "." + string(class) + ".>",
		pending: pendingPlans, err: classError(class)}
}

// DueOf reads the events of a class whose time has come.
func DueOf(class events.Class) Consumer {
	return Consumer{stream: streamSchedule, name: "due_" + string(class), filter: prefixDue + "." + string(class),
		pending: pendingPlans, err: classError(class)}
}

// Commands reads what operators asked for.
func Commands() Consumer {
	return Consumer{stream: streamCommands, name: "commands", filter: prefixCommands + ".>", pending: pendingPlans}
}

// Faults reads the deliveries that could not be mapped.
func Faults() Consumer {
	return Consumer{stream: streamEvents, name: "faults", filter: prefixFaults + ".>", pending: pendingPlans}
}

// ActionsOf reads the actions of a class at a connection.
func ActionsOf(connection string, class events.Class) Consumer {
	return Consumer{stream: streamActions, name: "actions_" + connection + "_" + string(class),
		filter: strings.Join([]string{prefixActions, connection, string(class), "*"}, "."), pending: pendingActions,
		err: errors.Join(connectionError(connection), classError(class))}
}

func classError(c events.Class) error {
	if !c.Valid() {
		return fmt.Errorf("class %q: not one of %v", c, events.Classes())
	}
	return nil
}

// connectionError checks the name of a connection: a subject token, a part of a consumer's name and a key of a bucket,
// so that it has only what all three take, and none of the words that stand in its place elsewhere.
func connectionError(name string) error {
	bad := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}
	switch {
	case name == "" || len(name) > 64 || strings.ContainsFunc(name, bad):
		return fmt.Errorf("connection %q: must be 1 to 64 letters, digits, '-' and '_'", name)
	case name == events.DeadFault || name == events.DeadConflict:
		return fmt.Errorf("connection %q: the name is taken", name)
	}
	return nil
}

// config is the server's form of c.
func (c Consumer) config(wait time.Duration) jetstream.ConsumerConfig {
	cfg := jetstream.ConsumerConfig{
		Durable: c.name, FilterSubject: c.filter, AckPolicy: jetstream.AckExplicitPolicy, AckWait: wait,
		MaxDeliver: -1, MaxAckPending: c.pending, DeliverPolicy: jetstream.DeliverAllPolicy,
	}
	if c.news {
		cfg.DeliverPolicy = jetstream.DeliverNewPolicy
	}
	return cfg
}

// planning is every consumer that exists from the start. Those of the lanes come with their connections.
func planning() []Consumer {
	list := []Consumer{Commands(), Faults()}
	for _, class := range events.Classes() {
		list = append(list, EventsOf(class), DueOf(class))
	}
	return list
}

// CreateTopology makes or updates every stream, bucket and planning consumer, and returns when they are on disk.
// Several workers may do so at the same time. What an operator chose stays, unless the options say otherwise: the
// number of replicas and the size of EVENTS. What a newer version made is not touched: ErrNewer.
func (b *Bus) CreateTopology(ctx context.Context) error {
	if err := b.checkForm(ctx); err != nil {
		return err
	}
	for _, cfg := range b.opts.topology() {
		cfg.AllowDirect = cfg.AllowDirect || cfg.Name == streamLedger && b.alone()
		if err := b.createStream(ctx, cfg); err != nil {
			return refusal("create stream "+cfg.Name, copiesFor(roomFor(cfg, err)))
		}
	}
	b.forget()
	for _, c := range planning() {
		if _, err := b.consumer(ctx, c); err != nil {
			return refusal("create consumer "+c.String(), err)
		}
	}
	b.newest.forget() // what failed for want of a stream says nothing any more
	// Dying before this line loses nothing: the next start makes what is missing.
	return b.Barrier(ctx)
}

// forget has the handles of streams made anew: one that was made before says how the stream was read then, and a ledger that
// came from one server to a cluster must not be read from a replica, nor be asked for what the stream does not answer any more.
func (b *Bus) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.streams)
}

// tries bounds how often a creation is repeated that lost a race against another worker's.
const tries = 5

// createStream makes or updates one stream. Between the look and the creation another worker may have been faster:
// then the look is repeated.
func (b *Bus) createStream(ctx context.Context, cfg jetstream.StreamConfig) error {
	var err error
	for range tries {
		var old jetstream.Stream
		old, err = b.js.Stream(ctx, cfg.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			cfg.Replicas, cfg.Metadata = b.replicas(), b.opts.bounded(cfg.MaxBytes, nil)
			_, err = b.js.CreateStream(ctx, cfg)
		} else if err == nil {
			err = b.updateStream(ctx, cfg, old.CachedInfo().Config)
		}
		if !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) && !errors.Is(err, jetstream.ErrStreamNotFound) {
			return err
		}
	}
	return err
}

// alone reports whether the server is the embedded one: it keeps every stream by itself, so that whatever it answers is
// the leader's word, and a direct read costs a third of what a request for a message does.
func (b *Bus) alone() bool {
	return (b.opts.InProcess != nil || b.opts.Durability == Group) && b.nc.ConnectedClusterName() == ""
}

// replicas is how many servers keep a new stream: three where the cluster has as many, because one that fails must not
// take an accepted event along.
func (b *Bus) replicas() int {
	found := len(b.nc.DiscoveredServers())
	configured := len(b.nc.Servers()) - found // the same servers may go by other names there
	switch {
	case b.opts.Replicas > 0:
		return b.opts.Replicas
	case b.nc.ConnectedClusterName() != "" && max(found, configured) >= 3:
		return 3
	}
	return 1
}

// updateStream brings a stream to cfg, but for what an operator may choose.
func (b *Bus) updateStream(ctx context.Context, cfg, old jetstream.StreamConfig) error {
	cfg.Replicas = old.Replicas
	if b.opts.Replicas > 0 {
		cfg.Replicas = b.opts.Replicas
	}
	cfg.Placement, cfg.Metadata, cfg.Subjects = old.Placement, old.Metadata, together(cfg.Subjects, old.Subjects)
	b.opts.bound(&cfg, old)
	if settled(cfg, old) {
		return nil // the update of a stream races with who makes a consumer of it meanwhile (nats-server 2.15.2)
	}
	_, err := b.js.UpdateStream(ctx, cfg)
	return err
}

// settled reports whether an update to cfg would change nothing: what cfg leaves open, the server has filled in
// (checkStreamCfg of nats-server). Where it fills in something else one day, streams are updated at each start again.
func settled(cfg, old jetstream.StreamConfig) bool {
	const none = -1
	cfg.MaxConsumers = cmp.Or(cfg.MaxConsumers, none)
	cfg.MaxMsgs = cmp.Or(cfg.MaxMsgs, none)
	cfg.MaxBytes = cmp.Or(cfg.MaxBytes, none)
	cfg.MaxMsgsPerSubject = cmp.Or(cfg.MaxMsgsPerSubject, none)
	cfg.MaxMsgSize = cmp.Or(cfg.MaxMsgSize, none)
	cfg.Duplicates = cmp.Or(cfg.Duplicates, serverWindow)
	return reflect.DeepEqual(cfg, old)
}

// CheckTopology tells a process that may only publish (ingest) whether it can: ErrTopology names what is missing and
// who makes it, ErrUnavailable is a broker that is away. The broker tells its time with the answer (ClockOff), and how full EVENTS is
// (Filling).
func (b *Bus) CheckTopology(ctx context.Context) error {
	asked := b.local()
	s, err := b.js.Stream(ctx, streamEvents)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("%w: stream %s does not exist; a worker creates it when it starts: start one on the same NATS "+
			"account", ErrTopology, streamEvents)
	}
	if err != nil {
		return refusal("look for stream "+streamEvents, err)
	}
	b.saw(s.CachedInfo().TimeStamp, asked, b.local())
	b.fill(s.CachedInfo())
	if c := s.CachedInfo().Cluster; c != nil && c.Leader == "" { // a server that lost the others still answers who asks
		return &unavailable{op: "look for stream " + streamEvents, retry: retryAway,
			err: errors.New("no server leads it: start those that are down, a majority must run")}
	}
	if !slices.Contains(s.CachedInfo().Config.Subjects, prefixEvents+".>") {
		return fmt.Errorf("%w: stream %s does not take %s.>; a worker of this version updates it when it starts",
			ErrTopology, streamEvents, prefixEvents)
	}
	return nil
}

// consumer makes or updates c at the server.
func (b *Bus) consumer(ctx context.Context, c Consumer) (jetstream.Consumer, error) {
	if c.err != nil {
		return nil, c.err
	}
	return b.js.CreateOrUpdateConsumer(ctx, c.stream, c.config(b.opts.ackWait()))
}

// Lag says how far a consumer is behind.
type Lag struct {
	Stream    string
	Consumer  string
	Waiting   uint64 // not yet delivered
	InHand    int    // delivered, not yet acknowledged
	Delivered int    // of these, delivered more than once

	filter string // of the subjects that it reads
	floor  uint64 // all up to this one is settled
}

// Lag reads how far every consumer is behind that brings something about.
func (b *Bus) Lag(ctx context.Context) ([]Lag, error) {
	var lags []Lag
	for _, name := range []string{streamEvents, streamActions, streamSchedule, streamCommands} {
		s, err := b.js.Stream(ctx, name)
		if err != nil {
			return nil, refusal("lag of "+name, err)
		}
		list := s.ListConsumers(ctx)
		for i := range list.Info() {
			lags = append(lags, lagOf(name, i))
		}
		if err := list.Err(); err != nil {
			return nil, refusal("lag of "+name, err)
		}
	}
	return lags, nil
}
