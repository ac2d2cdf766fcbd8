package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Ledger appends and reads records over a Log.
type Ledger struct {
	log Log
	now func() time.Time
}

// New makes a ledger over log. now gives the time of records; nil is time.Now.
func New(log Log, now func() time.Time) *Ledger {
	if now == nil {
		now = time.Now
	}
	return &Ledger{log: log, now: now}
}

// Last reads the state of a subject from the leader. A subject without records gives the zero Record and no error:
// "nothing happened yet" is a state like any other.
func (l *Ledger) Last(ctx context.Context, subject string) (Record, error) {
	seq, data, err := l.log.Last(ctx, subject)
	if errors.Is(err, ErrNotFound) {
		return Record{}, nil
	}
	if err != nil {
		return Record{}, fmt.Errorf("ledger last %s: %w", subject, err)
	}
	return Decode(subject, seq, data)
}

// Append writes rec after prev, the record that the caller decided upon (the zero Record when there was none), and
// returns it as stored. A transition that the state table forbids is refused before anything is written.
//
// The compare-and-swap may answer "another came first" for the caller's own record, when the answer to its first
// publish was lost: then the stored record is returned and nothing was written twice. ErrConflict means somebody
// else's record: never act on it. Any other error leaves it unknown whether the record stands; whoever is asked next
// finds out by Last.
func (l *Ledger) Append(ctx context.Context, prev, rec Record) (Record, error) {
	if prev.Seq != 0 && prev.Subject != rec.Subject {
		return Record{}, fmt.Errorf("ledger append %s: decided upon %s", rec.Subject, prev.Subject)
	}
	if !may(kindOf(rec.Subject), prev.State, rec.State) {
		return Record{}, fmt.Errorf("ledger append %s: state %q may not follow %q", rec.Subject, rec.State, prev.State)
	}
	rec.Time, rec.Prev = l.now().UTC().Round(0), prev.Hash
	data, err := rec.seal()
	if err != nil {
		return Record{}, fmt.Errorf("ledger append %s: %w", rec.Subject, err)
	}
	seq, err := l.log.Append(ctx, rec.Subject, prev.Seq, data)
	if errors.Is(err, ErrConflict) {
		return l.resolve(ctx, rec)
	}
	if err != nil {
		return Record{}, fmt.Errorf("ledger append %s: %w", rec.Subject, err)
	}
	// Dying here: the record stands, its writer does not know. The redelivery reads it and goes on from there.
	rec.Seq = seq
	return rec, nil
}

// resolve tells a writer's own record, whose acknowledgement was lost, from somebody else's.
func (l *Ledger) resolve(ctx context.Context, rec Record) (Record, error) {
	last, err := l.Last(ctx, rec.Subject)
	if err != nil {
		return Record{}, err
	}
	if rec.Attempt != "" && last.Attempt == rec.Attempt && last.Prev == rec.Prev && last.State == rec.State {
		return last, nil
	}
	return Record{}, fmt.Errorf("ledger append %s: %w", rec.Subject, ErrConflict)
}

// Range hands the records that match filter (subject.go), written at or after since, to fn, oldest first.
func (l *Ledger) Range(ctx context.Context, filter string, since time.Time, fn func(Record) error) error {
	return l.read(ctx, filter, From{Time: since}, fn)
}

// After is Range of the records behind the one at sequence seq: for whoever read up to it.
func (l *Ledger) After(ctx context.Context, filter string, seq uint64, fn func(Record) error) error {
	return l.read(ctx, filter, From{After: seq}, fn)
}

// read decodes what the log gives.
func (l *Ledger) read(ctx context.Context, filter string, from From, fn func(Record) error) error {
	return l.log.Range(ctx, filter, from, func(subject string, seq uint64, data []byte) error {
		rec, err := Decode(subject, seq, data)
		if err != nil {
			return err
		}
		return fn(rec)
	})
}

// Case reads all records of a case, oldest first.
func (l *Ledger) Case(ctx context.Context, caseID string) ([]Record, error) {
	var recs []Record
	err := l.Range(ctx, CaseFilter(caseID), time.Time{}, func(r Record) error {
		recs = append(recs, r)
		return nil
	})
	return recs, err
}

// Broken is a place where the chain does not hold.
type Broken struct {
	Subject string `json:"subject"`
	Seq     uint64 `json:"seq"`
	Why     string `json:"why"`
}

// Verify walks every record that matches filter and checks its hash, its link to the one before it, and its
// transition. It returns how many records it saw and each place that does not hold.
func (l *Ledger) Verify(ctx context.Context, filter string) (int, []Broken, error) {
	var n int
	var broken []Broken
	last := map[string]Record{}
	err := l.log.Range(ctx, filter, From{}, func(subject string, seq uint64, data []byte) error {
		n++
		rec, err := Decode(subject, seq, data)
		if why := fault(last[subject], rec, data, err); why != "" {
			broken = append(broken, Broken{Subject: subject, Seq: seq, Why: why})
		}
		last[subject] = rec
		return nil
	})
	return n, broken, err
}

// fault says what is wrong with rec, stored as data, as the successor of prev; empty when nothing is. The bytes must
// be the very ones that Append writes: a field that a reader would overlook is a change too.
func fault(prev, rec Record, data []byte, decodeErr error) string {
	if decodeErr != nil {
		return decodeErr.Error()
	}
	again := rec
	written, err := again.seal()
	switch {
	case err != nil:
		return err.Error()
	case again.Hash != rec.Hash || !bytes.Equal(written, data):
		return "the record does not match its hash"
	case rec.Prev != prev.Hash:
		return "the record does not follow the one before it"
	case !may(kindOf(rec.Subject), prev.State, rec.State):
		return fmt.Sprintf("state %q may not follow %q", rec.State, prev.State)
	}
	return ""
}

const (
	// hashLength is how long a hash is in a record: SHA-256 in hex.
	hashLength = 2 * sha256.Size
	// sealed is what a record ends with behind its hash, which is the last of its members; unsealed is what it ends with
	// while it has none. The hash is taken over that form.
	sealed   = `"}`
	unsealed = `"hash":""}`
)

// blank stands where the hash comes.
var blank = strings.Repeat("0", hashLength)

// seal hashes everything of the record but its place, and gives the form in which it is stored: the very bytes that
// were hashed, with the hash in its place at their end.
func (r *Record) seal() ([]byte, error) {
	r.Hash = blank
	data, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	at := len(data) - len(sealed) - hashLength
	if !bytes.HasSuffix(data[:max(at, 0)], []byte(unsealed[:len(unsealed)-len(sealed)])) {
		return nil, errors.New("the hash is not the last member of a record")
	}
	behind := at + copy(data[at:], sealed) // for a moment there is no hash
	sum := sha256.Sum256(data[:behind])
	hex.Encode(data[at:], sum[:])
	r.Hash = string(data[at : at+hashLength])
	return data, nil
}

// Decode reads a record as it is stored under a subject and a sequence, and refuses one that claims to be about something else.
func Decode(subject string, seq uint64, data []byte) (Record, error) {
	rec, ok := written(data)
	if !ok {
		rec = Record{}
		if err := json.Unmarshal(data, &rec); err != nil {
			return Record{}, fmt.Errorf("ledger record %d of %s: %w", seq, subject, err)
		}
	}
	if rec.Subject != subject {
		return Record{}, fmt.Errorf("ledger record %d of %s: it speaks of %s", seq, subject, rec.Subject)
	}
	rec.Seq = seq
	return rec, nil
}
