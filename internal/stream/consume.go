package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"keyturn/internal/events"
	"keyturn/internal/shield"
)

// Message is one delivery of a stored message.
type Message struct {
	Subject     string
	Data        []byte
	TraceParent string    // W3C trace context, when it has one
	Deliveries  int       // which delivery this is, from 1
	Stored      time.Time // when the server took it
	Seq         uint64    // where the stream keeps it
	Waited      bool      // it had waited for its time before it was stored (PublishLater, a long delay of settle)

	stream string
	msg    jetstream.Msg
}

// Handler works on one message and says what becomes of it. It never acknowledges. It runs in one goroutine; after a panic
// the message comes again.
type Handler func(ctx context.Context, m *Message) events.Outcome

// beats is how often within its ack wait a message in hand is kept from being delivered again.
const beats = 3

// Consume works off c with the given number of handlers at a time, until ctx ends. It asks for a message when there is a
// hand for it, one for all of them: a reader of its own costs each hand 70 KiB and three goroutines. It returns an error
// only when c is no consumer; a broker that is away is waited for.
func (b *Bus) Consume(ctx context.Context, c Consumer, concurrency int, h Handler) error {
	if c.err != nil {
		return fmt.Errorf("consume %s: %w", c, c.err)
	}
	p := &Puller{bus: b, consumer: c}
	defer p.Close()
	var inHand sync.WaitGroup
	defer inHand.Wait()
	free := make(chan *Message)
	defer close(free)
	hands := make(chan struct{}, max(concurrency, 1))
	for {
		select {
		case hands <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		m, err := p.Next(ctx)
		if err != nil {
			return nil // ctx ended: Next makes up for everything else
		}
		select {
		case free <- m: // one that has worked already: its stack is as large as its work needs
		default:
			inHand.Go(func() {
				for more := true; more; m, more = <-free {
					b.Handle(ctx, m, h)
					<-hands
				}
			})
		}
	}
}

// Handle runs h over m: it keeps m from being delivered again until h returns or ctx ends, and settles it by the
// outcome. It returns when m is settled or left.
func (b *Bus) Handle(ctx context.Context, m *Message, h Handler) {
	if b.opts.Rescue != nil {
		defer func() {
			if v := recover(); v != nil {
				b.opts.Rescue(v)
			}
		}()
	}
	if b.opts.Enter != nil {
		ctx = b.opts.Enter(ctx, m)
	}
	stop := keep(ctx, m, b.opts.ackWait()/beats)
	defer stop()
	b.settle(ctx, m, b.shielded(ctx, m, h))
}

// shielded runs h over m. A message that meets a panic, which is a fault of ours, must not stop all others: it is told, and
// the message comes again, time after time, until a version of Keyturn without the fault takes it. What the panic says is
// left out where it may hold more than the place of the fault.
func (b *Bus) shielded(ctx context.Context, m *Message, h Handler) (out events.Outcome) {
	if b.opts.Rescue != nil {
		return h(ctx, m)
	}
	if met := shield.Run(func() { out = h(ctx, m) }); met != nil {
		b.metrics.panicked(m.stream)
		met.Tell(ctx, b.log, "this message meets a fault of Keyturn; it is tried again every minute, and all others go on", "subject", m.Subject)
		out = events.Outcome{Delay: laterAfter + time.Second}
	}
	return out
}

// keep tells the server every so often that m is being worked on. It ends with ctx: a holder that lost its lease must
// let go.
func keep(ctx context.Context, m *Message, every time.Duration) (stop func()) {
	var mu sync.Mutex
	stopped := false
	var timer *time.Timer
	beat := func() {
		mu.Lock()
		defer mu.Unlock()
		if stopped || ctx.Err() != nil {
			return
		}
		_ = m.msg.InProgress() // lost, it is delivered again: its handler finds what was done
		timer.Reset(every)
	}
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(every, beat)
	return func() {
		mu.Lock()
		defer mu.Unlock()
		stopped = true
		timer.Stop()
	}
}

// Pull settings. One message is asked for at a time, when somebody is there to work on it: a message that lies in a
// client's buffer runs into its ackWait.
const (
	pullExpiry = 30 * time.Second
	// pullHeartbeat is half of how long a request that found nobody is waited for: after the lease of a worker that died, of
	// up to 10 s, it must not take the rest of the 15 s in which its lanes move.
	pullHeartbeat = 2 * time.Second
	// pullNudge is how long the first wait for a message is, and pullPatience how many times it is doubled before one
	// without end (try).
	pullNudge    = 5 * time.Millisecond
	pullPatience = 8
	// burstWait is for how long whoever takes messages in bursts lets them gather behind the first.
	burstWait = 20 * time.Millisecond
)

// Puller gives the messages of a consumer one by one. It may be used by one goroutine at a time.
type Puller struct {
	bus      *Bus
	consumer Consumer
	made     jetstream.Consumer
	iter     jetstream.MessagesContext
	burst    []jetstream.Msg // taken, and not given yet
	full     bool            // the last burst was: more of them wait
	left     time.Time       // when the last Next returned without a message
}

// Pull makes the consumer at the server, if it is not there, and a Puller over it.
func (b *Bus) Pull(ctx context.Context, c Consumer) (*Puller, error) {
	if c.err != nil {
		return nil, fmt.Errorf("pull %s: %w", c, c.err)
	}
	p := &Puller{bus: b, consumer: c}
	if err := p.open(ctx); err != nil {
		return nil, refusal("pull "+c.String(), err)
	}
	return p, nil
}

// open asks for messages.
func (p *Puller) open(ctx context.Context) error {
	var err error
	if p.made, err = p.bus.consumer(ctx, p.consumer); err != nil {
		return err
	}
	p.iter, err = p.made.Messages(jetstream.PullMaxMessages(1), jetstream.PullExpiry(pullExpiry),
		jetstream.PullHeartbeat(pullHeartbeat), jetstream.WithMessagesErrOnMissingHeartbeat(true))
	return err
}

// Next waits for a message until ctx ends, whose error it returns then. It makes up for everything else: a broker
// that went away, a consumer that was deleted, a connection that fell silent.
func (p *Puller) Next(ctx context.Context) (*Message, error) {
	delay := newDelay()
	if !p.left.IsZero() && time.Since(p.left) > p.bus.opts.ackWait()/2 {
		p.Close() // what the server sent after the last Next may be with somebody else by now
	}
	for ctx.Err() == nil {
		m, err := p.try(ctx)
		if err == nil {
			p.left = time.Time{}
			return m, nil
		}
		if ctx.Err() != nil {
			break
		}
		wait := delay.NextBackOff()
		p.bus.log.WarnContext(ctx, "consumer interrupted", "consumer", p.consumer.String(), "error", err, "retry_in", wait)
		p.Close()
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
	p.left = time.Now()
	return nil, ctx.Err()
}

// try gives the next message of a burst, or waits for one.
func (p *Puller) try(ctx context.Context) (*Message, error) {
	if len(p.burst) > 0 {
		msg := p.burst[0]
		p.burst = p.burst[1:]
		return newMessage(msg)
	}
	if p.iter == nil {
		if err := p.open(ctx); err != nil {
			return nil, err
		}
	}
	msg, err := p.next(ctx)
	if err != nil {
		return nil, err
	}
	p.gather(ctx)
	return newMessage(msg)
}

// gather takes what comes behind the first message of a burst, in one request. What it fails to take comes to the next
// Next, or again.
func (p *Puller) gather(ctx context.Context) {
	more := p.consumer.burst - 1
	if more <= 0 {
		return
	}
	if !p.full {
		select {
		case <-time.After(burstWait):
		case <-ctx.Done():
			return
		}
	}
	p.full = false
	batch, err := p.made.FetchNoWait(more)
	if err != nil {
		return
	}
	for msg := range batch.Messages() {
		p.burst = append(p.burst, msg)
	}
	p.full = len(p.burst) == more
}

// next waits for one message, at first for short times only: whoever begins to wait asks the server, unless the
// client's goroutine is still busy with having asked for the message before. A server that is near has answered by
// then, and nobody would ask again before the heartbeat was missed, four seconds later (nats.go v1.55,
// jetstream/pull.go, checkPending; nats.go #1622).
func (p *Puller) next(ctx context.Context) (jetstream.Msg, error) {
	for i := range pullPatience {
		short, cancel := context.WithTimeout(ctx, pullNudge<<i)
		msg, err := p.iter.Next(jetstream.NextContext(short))
		cancel()
		if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			return msg, err
		}
	}
	return p.iter.Next(jetstream.NextContext(ctx))
}

// newMessage reads what the server says about a delivery.
func newMessage(msg jetstream.Msg) (*Message, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return nil, err
	}
	header := msg.Headers()
	return &Message{Subject: msg.Subject(), Data: msg.Data(), TraceParent: header.Get(headerTrace),
		Deliveries: int(meta.NumDelivered), Stored: meta.Timestamp, Seq: meta.Sequence.Stream, //nolint:gosec // counts deliveries
		Waited: header.Get(headerScheduler) != "", stream: meta.Stream, msg: msg}, nil
}

// Close stops asking, and gives back at once what was taken and not given, and what arrived unasked-for.
func (p *Puller) Close() {
	if p.iter == nil {
		return
	}
	for _, msg := range p.burst {
		_ = msg.Nak()
	}
	p.burst = nil
	p.iter.Drain()
	for {
		msg, err := p.iter.Next(jetstream.NextMaxWait(time.Second))
		if err != nil && !errors.Is(err, jetstream.ErrNoMessages) {
			break
		}
		if msg != nil {
			_ = msg.Nak() // lost, it comes after ackWait
		}
	}
	p.iter.Stop()
	p.iter = nil
}
