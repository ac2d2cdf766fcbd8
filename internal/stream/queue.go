package stream

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"keyturn/internal/events"
)

// Queue is how much a connection has to do in one class, as the broker knows it, whether its lane is held or not.
type Queue struct {
	Connection string
	Class      events.Class
	Waiting    uint64    // never delivered yet
	Taken      int       // delivered and not settled: in somebody's hands, or given back to come again within a minute
	Later      uint64    // to come again later than within a minute
	Visits     uint64    // looks to come at what is done: no work that waits
	Oldest     time.Time // when the oldest of Waiting and Taken was stored there; zero = there is none
}

// queueEnds is when the server forgets the reader by which Queues counts, should nobody delete it.
const queueEnds = 10 * time.Second

// Queues tells what waits at the connections, in the order of their names and, at each, of the classes. A connection
// has queues from the first time that a worker was configured with it.
func (b *Bus) Queues(ctx context.Context, connections ...string) ([]Queue, error) {
	s, err := b.stream(ctx, streamActions)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil // no worker was ever here
	}
	if err != nil {
		return nil, refusal("queues of "+streamActions, err)
	}
	var queues []Queue
	list := s.ListConsumers(ctx)
	for info := range list.Info() {
		connection, ok := connectionOf(info.Config.FilterSubject)
		if !ok || info.Config.Durable == "" || len(connections) > 0 && !slices.Contains(connections, connection) {
			continue
		}
		q, err := b.queue(ctx, s, info)
		if err != nil {
			return nil, refusal("queues of "+connection, err)
		}
		queues = append(queues, q)
	}
	if err := list.Err(); err != nil {
		return nil, refusal("queues of "+streamActions, err)
	}
	slices.SortFunc(queues, func(p, q Queue) int {
		if by := strings.Compare(p.Connection, q.Connection); by != 0 {
			return by
		}
		return slices.Index(events.Classes(), p.Class) - slices.Index(events.Classes(), q.Class)
	})
	return queues, nil
}

// queue counts what a lane's consumer has before it.
func (b *Bus) queue(ctx context.Context, s jetstream.Stream, info *jetstream.ConsumerInfo) (Queue, error) {
	filter := info.Config.FilterSubject
	tokens := strings.Split(filter, ".")
	q := Queue{Connection: tokens[1], Class: events.Class(tokens[2]), Waiting: info.NumPending, Taken: max(info.NumAckPending, 0)}
	var err error
	if q.Waiting > 0 || q.Taken > 0 {
		if q.Oldest, err = oldest(ctx, s, filter, info.AckFloor.Stream); err != nil {
			return Queue{}, err
		}
	}
	if q.Later, err = b.countLater(ctx, s, prefixLater, q); err == nil {
		q.Visits, err = b.countLater(ctx, s, prefixVisit, q)
	}
	return q, err
}

// countLater counts the actions of a queue that are to come later, as work or for a visit: the server counts for a new
// reader what is before it, and nothing is read.
func (b *Bus) countLater(ctx context.Context, s jetstream.Stream, waits string, q Queue) (uint64, error) {
	reader, err := s.CreateConsumer(ctx, jetstream.ConsumerConfig{
		FilterSubject: strings.Join([]string{waits, q.Connection, string(q.Class), "*"}, "."),
		AckPolicy:     jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: queueEnds,
	})
	if err != nil {
		return 0, err
	}
	info := reader.CachedInfo()
	_ = s.DeleteConsumer(ctx, info.Name) // forgotten otherwise
	return info.NumPending, nil
}
