package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"keyturn/internal/shield"
)

// readsVersion is the version of the form in which reads are asked and answered, as discovery shows it.
const readsVersion = "1.0.0"

// Reader answers one read. It hands the pages of its answer to send, in order; send returns when the asker took the
// page, and its error means that nobody takes more: the reader should return it. What a reader returns the asker gets,
// as a ReadError. Its context ends with the lease, and when the asker has gone.
type Reader func(ctx context.Context, query []byte, send func(page []byte) error) error

// Service is what the holder of a lane answers while it holds it.
type Service struct {
	Connection string
	Metadata   map[string]string // shown by discovery ($SRV.INFO)
	Readers    map[Read]Reader
}

// Serve answers reads about a connection until ctx ends, and returns when the last of them has ended: they are told
// that the lane moved. Only the holder of the connection's lease may serve, so that the answers come from one worker.
func (b *Bus) Serve(ctx context.Context, s Service) error {
	svc, err := micro.AddService(b.nc, micro.Config{
		Name: "keyturn-" + s.Connection, Version: readsVersion, Metadata: s.Metadata, QueueGroup: "holder",
		Description: "reads of the provider of connection " + s.Connection,
	})
	if err != nil {
		return fmt.Errorf("serve reads of %s: %w", s.Connection, err)
	}
	var desks []*desk
	for read, reader := range s.Readers {
		var subj string
		if subj, err = readSubject(read, s.Connection); err != nil {
			break
		}
		d := &desk{bus: b, ctx: ctx, read: reader, places: make(chan struct{}, readsAtOnce)}
		desks = append(desks, d)
		if err = svc.AddEndpoint(string(read), micro.HandlerFunc(d.take), micro.WithEndpointSubject(subj)); err != nil {
			break
		}
	}
	if err == nil {
		<-ctx.Done()
	}
	err = errors.Join(err, svc.Stop())
	for _, d := range desks {
		d.close()
	}
	if err != nil {
		return fmt.Errorf("serve reads of %s: %w", s.Connection, err)
	}
	return nil
}

// desk is where reads of one kind are answered.
type desk struct {
	bus    *Bus
	ctx    context.Context // that of Serve: a read lives as long as the lease
	read   Reader
	places chan struct{}

	mu     sync.Mutex
	closed bool
	work   sync.WaitGroup
}

var errMoved = &ReadError{Code: ReadMoved, Message: "the lane moved to another worker while it was read",
	Suggestion: "ask again: another worker takes a lane within 15 s"}

var errBusy = &ReadError{Code: ReadBusy, Message: fmt.Sprintf("the worker answers %d reads already", readsAtOnce),
	Suggestion: "ask again in a moment"}

// take begins the answer to a request. It must not block: the requests behind it wait.
func (d *desk) take(req micro.Request) {
	reply, query := req.Reply(), req.Data()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		d.end(reply, errMoved)
		return
	}
	select {
	case d.places <- struct{}{}:
	default:
		d.end(reply, errBusy)
		return
	}
	d.work.Go(func() {
		defer func() { <-d.places }()
		d.answer(reply, query)
	})
}

// close takes no more requests, and waits for the end of those in hand.
func (d *desk) close() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.work.Wait()
}

// errGone: nobody takes the answer any more.
var errGone = errors.New("the asker has gone")

// answer runs one read.
func (d *desk) answer(reply string, query []byte) {
	ctx, cancel := context.WithCancelCause(d.ctx)
	defer cancel(nil)
	ctx, stop := context.WithTimeoutCause(ctx, readLongest, &ReadError{Code: ReadFailed,
		Message: fmt.Sprintf("the read was ended after %s", readLongest)})
	defer stop()
	var beats sync.WaitGroup
	beats.Go(func() { d.beat(ctx, cancel, reply) })
	err := d.shielded(ctx, query, func(page []byte) error {
		err := d.send(ctx, reply, page)
		if errors.Is(err, errGone) {
			cancel(err)
		}
		return err
	})
	cause := context.Cause(ctx)
	var said *ReadError
	switch {
	case err == nil:
	case d.ctx.Err() != nil:
		err = errMoved
	case errors.As(cause, &said):
		err = said
	case cause != nil:
		err = cause
	}
	cancel(nil)
	beats.Wait()
	if !errors.Is(err, errGone) {
		d.end(reply, err)
	}
}

// shielded reads. A panic, which is a fault of ours that an answer of the provider or a question met, ends the read alone.
func (d *desk) shielded(ctx context.Context, query []byte, send func([]byte) error) (err error) {
	if met := shield.Run(func() { err = d.read(ctx, query, send) }); met != nil {
		d.bus.metrics.panicked("reads")
		met.Tell(ctx, d.bus.log, "a read meets a fault of Keyturn; it is ended, and all else goes on")
		err = &ReadError{Code: ReadFailed, Message: "the worker met a fault of its own; its log has the stack (PANIC)",
			Suggestion: "report the stack, and install a version that mends it"}
	}
	return err
}

// send hands one page over.
func (d *desk) send(ctx context.Context, reply string, page []byte) error {
	if most := d.bus.nc.MaxPayload() - 1<<10; int64(len(page)) > most { // the header needs some
		return fmt.Errorf("a page of %d bytes, and a message takes %d", len(page), most)
	}
	m := nats.NewMsg(reply)
	m.Header.Set(headerPart, partPage)
	m.Data = page
	taken, err := d.bus.nc.RequestMsgWithContext(ctx, m)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return fmt.Errorf("%w: %w", errGone, err)
	case taken.Header.Get(headerPart) == partStop:
		return errGone
	}
	return nil
}

// beat shows the asker that the read goes on, and ends it when nobody is there.
func (d *desk) beat(ctx context.Context, cancel context.CancelCauseFunc, reply string) {
	for {
		pause(ctx, readBeat)
		if ctx.Err() != nil {
			return
		}
		m := nats.NewMsg(reply)
		m.Header.Set(headerPart, partBeat)
		call, done := context.WithTimeout(ctx, readSilence)
		_, err := d.bus.nc.RequestMsgWithContext(call, m)
		done()
		if err != nil {
			cancel(fmt.Errorf("%w: %w", errGone, err))
			return
		}
	}
}

// end says that there is no more, or why.
func (d *desk) end(reply string, err error) {
	m := nats.NewMsg(reply)
	m.Header.Set(headerPart, partEnd)
	if err != nil {
		said := &ReadError{}
		if !errors.As(err, &said) {
			said = &ReadError{Code: ReadFailed, Message: err.Error()}
		}
		m.Header.Set(micro.ErrorHeader, oneLine(said.Message))
		m.Header.Set(micro.ErrorCodeHeader, string(said.Code))
		m.Data, _ = json.Marshal(said) // three strings: cannot fail
	}
	if perr := d.bus.nc.PublishMsg(m); perr != nil {
		d.bus.log.Warn("answer of a read not sent", "error", perr) // the asker notices the silence
	}
}

// oneLine keeps a text within one line of a header.
func oneLine(s string) string {
	return strings.NewReplacer("\n", " ", "\r", " ").Replace(s)
}
