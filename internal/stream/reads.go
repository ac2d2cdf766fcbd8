package stream

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"
)

// Read names what a worker is asked. It is the second token of the subject: keyturn.<read>.<connection>.
type Read string

const (
	ReadGet   Read = "get"   // what the provider has
	ReadCheck Read = "check" // how the connection stands
	// ReadObserve asks what an action would change at the provider now.
	ReadObserve Read = "observe"
	// ReadLane asks how the lane itself stands: what it knows of its budget and has to do.
	ReadLane Read = "lane"
	// ReadConfig asks which playbooks are in force. It is asked of AnyWorker.
	ReadConfig Read = "config"
)

// AnyWorker stands where a read names a connection, when it is about none: any worker answers.
const AnyWorker = "worker"

// prefixReads begins the subjects of reads. They are plain requests: nothing of them is stored.
const prefixReads = "keyturn"

// An answer is a row of messages to the asker's inbox. A page is a request of its own, and the next one is made when
// it was taken: whoever reads slowly, or no more, holds back the calls to the provider. A beat is a request that only
// says that the other side lives. The end has the form of a micro service's answer, also when it is an error.
const (
	headerPart = "Keyturn-Part"
	partPage   = "page"
	partBeat   = "beat"
	partEnd    = "end"
	partStop   = "stop" // the asker's answer to a page: no more
)

const (
	// readBeat is how often the holder shows that it lives, and asks whether the asker does.
	readBeat = 3 * time.Second
	// readSilence is after how long without a sign each side gives the other up.
	readSilence = 10 * time.Second
	// readLongest ends every read: a terminal that nobody looks at must not hold a listing for ever.
	readLongest = 15 * time.Minute
	// readsAtOnce is how many reads of one kind a holder answers at a time. The lane's gate paces their calls.
	readsAtOnce = 8
)

// ReadCode says what kind of error a read ended with, for programs.
type ReadCode string

// The codes that this package gives; readers add their own.
const (
	ReadFailed ReadCode = "failed" // something else
	ReadMoved  ReadCode = "moved"  // the lane went to another worker under the read
	ReadBusy   ReadCode = "busy"   // too many reads at once
)

// ReadError is how a holder says that it cannot answer.
type ReadError struct {
	Code       ReadCode `json:"code"`
	Message    string   `json:"message"`
	Suggestion string   `json:"suggestion,omitempty"` // what a person can do about it
}

// Error gives the message alone: the suggestion is for a line of its own.
func (e *ReadError) Error() string { return e.Message }

// ErrNoHolder: no worker holds the lane that was asked.
var ErrNoHolder = errors.New("no worker holds this lane")

// errTaker is what the taker of a page said.
type errTaker struct{ error }

func (e errTaker) Unwrap() error { return e.error }

// Ask puts a read to the worker that holds the lane of a connection, and hands each page of the answer to page, in
// order. The holder makes no more calls than the pages that were taken ask for. An error of page ends the read, and is
// returned as it is.
//
// Other errors are ErrNoHolder, when nobody answers for the connection; a *ReadError, when the holder says why it
// cannot; ErrUnavailable, when the broker is away or the holder fell silent for 10 s; that of ctx.
func (b *Bus) Ask(ctx context.Context, read Read, connection string, query []byte, page func(data []byte) error) error {
	subj, err := readSubject(read, connection)
	if err != nil {
		return err
	}
	op := "read " + subj
	inbox := b.nc.NewInbox()
	// One page is under way at a time, and beats are answered here: the channel never fills.
	parts, beats := make(chan *nats.Msg, 8), make(chan struct{}, 1)
	sub, err := b.nc.Subscribe(inbox, func(m *nats.Msg) {
		if m.Header.Get(headerPart) == partBeat {
			_ = m.Respond(nil) // a lost answer is silence on the other side
			select {
			case beats <- struct{}{}:
			default:
			}
			return
		}
		parts <- m
	})
	if err != nil {
		return refusal(op, err)
	}
	defer func() { _ = sub.Unsubscribe() }() // whatever comes after it finds no responder, and stops
	if err := b.nc.PublishRequest(subj, inbox, query); err != nil {
		return refusal(op, err)
	}
	return readFailure(op, follow(ctx, parts, beats, page))
}

// readFailure classifies how a read ended, once.
func readFailure(op string, err error) error {
	var own errTaker
	var said *ReadError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &own):
		return own.error
	case errors.Is(err, ErrNoHolder), errors.As(err, &said):
		return fmt.Errorf("%s: %w", op, err)
	}
	return refusal(op, err)
}

// follow takes the parts of an answer until its end.
func follow(ctx context.Context, parts <-chan *nats.Msg, beats <-chan struct{}, page func([]byte) error) error {
	for {
		silence := time.NewTimer(readSilence)
		select {
		case <-ctx.Done():
			silence.Stop()
			return ctx.Err()
		case <-silence.C:
			return fmt.Errorf("the worker fell silent for %s", readSilence)
		case <-beats:
			silence.Stop()
		case m := <-parts:
			silence.Stop()
			if done, err := takePart(m, page); done || err != nil {
				return err
			}
		}
	}
}

// takePart takes one part; done says that it was the last.
func takePart(m *nats.Msg, page func([]byte) error) (done bool, err error) {
	switch {
	case m.Header.Get(headerPart) == partPage:
		if err := page(m.Data); err != nil {
			stop := nats.NewMsg(m.Reply)
			stop.Header.Set(headerPart, partStop)
			_ = m.RespondMsg(stop) // lost: the next beat finds nobody
			return true, errTaker{err}
		}
		return false, m.Respond(nil)
	case m.Header.Get(micro.ErrorCodeHeader) != "":
		said := &ReadError{}
		if err := json.Unmarshal(m.Data, said); err != nil {
			said = &ReadError{Code: ReadFailed, Message: m.Header.Get(micro.ErrorHeader)}
		}
		return true, said
	case m.Header.Get(headerPart) == partEnd:
		return true, nil
	case len(m.Data) == 0 && m.Header.Get("Status") == "503": // the server's word for "nobody listens there"
		return true, ErrNoHolder
	}
	return true, errors.New("an answer in a form of another version")
}

// readSubject is where a read of a connection is asked.
func readSubject(read Read, connection string) (string, error) {
	if err := connectionError(connection); err != nil {
		return "", err
	}
	return subject(prefixReads, string(read), connection)
}

// Lease says who holds the lane of a connection.
type Lease struct {
	Connection string    `json:"connection"`
	Holder     string    `json:"holder"` // the worker's name
	Since      time.Time `json:"since"`
}

// Leases lists the lanes that are held, by connection. A holder that died a moment ago may still stand there.
func (b *Bus) Leases(ctx context.Context) ([]Lease, error) {
	const op = "list leases"
	kv, err := b.kv(ctx, bucketLeases)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, nil // no worker was ever here
	}
	if err != nil {
		return nil, refusal(op, err)
	}
	w, err := kv.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return nil, refusal(op, err)
	}
	defer func() { _ = w.Stop() }()
	var held []Lease
	for {
		select {
		case <-ctx.Done():
			return nil, refusal(op, ctx.Err())
		case e, ok := <-w.Updates():
			if !ok {
				return nil, refusal(op, cmp.Or(ctx.Err(), errors.New("ended"))) // the watcher ends by itself with ctx
			}
			if e == nil { // everything that stood there was handed over
				slices.SortFunc(held, func(a, b Lease) int { return strings.Compare(a.Connection, b.Connection) })
				return held, nil
			}
			var h holding
			if json.Unmarshal(e.Value(), &h) == nil {
				held = append(held, Lease{Connection: e.Key(), Holder: h.Holder, Since: h.Since})
			}
		}
	}
}
