// Package ledgertest is for tests only: a ledger.Log in memory that can lose what a power cut would lose, and the
// conformance test that every ledger.Log must pass.
package ledgertest

import (
	"context"
	"strings"
	"sync"
	"time"

	"keyturn/internal/ledger"
)

// Memory is a ledger.Log in memory. Its zero value is empty and ready; it is safe for concurrent use.
type Memory struct {
	// Before and After, when set, are called around the storing of a record and may fail or panic there: an error
	// from Before stores nothing, an error from After hides that the record was stored.
	Before, After func(subject string) error
	// Clock gives the storing time of records; nil is time.Now.
	Clock func() time.Time

	mu      sync.Mutex
	seq     uint64
	entries []Entry
	durable int // how many entries a power cut leaves
}

// Entry is one stored record. Tests change it to play an intruder.
type Entry struct {
	Subject string
	Seq     uint64
	Stored  time.Time
	Data    []byte
}

// Append implements ledger.Log.
func (m *Memory) Append(_ context.Context, subject string, after uint64, data []byte) (uint64, error) {
	if m.Before != nil {
		if err := m.Before(subject); err != nil {
			return 0, err
		}
	}
	seq, err := m.store(subject, after, data)
	if err == nil && m.After != nil {
		err = m.After(subject)
	}
	if err != nil {
		return 0, err
	}
	return seq, nil
}

// store does the compare-and-swap. The clock is asked before the lock is taken: its owner may hold it while calling here.
func (m *Memory) store(subject string, after uint64, data []byte) (uint64, error) {
	now := m.now()
	m.mu.Lock()
	defer m.mu.Unlock()
	if last, ok := m.last(subject); (ok && last.Seq != after) || (!ok && after != 0) {
		return 0, ledger.ErrConflict
	}
	m.seq++
	m.entries = append(m.entries, Entry{Subject: subject, Seq: m.seq, Stored: now, Data: append([]byte(nil), data...)})
	return m.seq, nil
}

// Last implements ledger.Log.
func (m *Memory) Last(_ context.Context, subject string) (uint64, []byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.last(subject)
	if !ok {
		return 0, nil, ledger.ErrNotFound
	}
	return e.Seq, e.Data, nil
}

// Range implements ledger.Log.
func (m *Memory) Range(_ context.Context, filter string, from ledger.From, fn func(string, uint64, []byte) error) error {
	for _, e := range m.matching(filter, from) {
		if err := fn(e.Subject, e.Seq, e.Data); err != nil {
			return err
		}
	}
	return nil
}

// matching gives the entries that a Range is about.
func (m *Memory) matching(filter string, from ledger.From) []Entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	fits := func(subject string) bool { return subject == filter }
	if strings.ContainsAny(filter, "*>") {
		fits = func(subject string) bool { return Matches(filter, subject) }
	}
	var found []Entry
	for _, e := range m.entries {
		if fits(e.Subject) && e.Seq > from.After && !e.Stored.Before(from.Time) {
			found = append(found, e)
		}
	}
	return found
}

// Entries gives a copy of everything stored, oldest first.
func (m *Memory) Entries() []Entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]Entry(nil), m.entries...)
}

// Rewrite puts entries in the place of everything stored.
func (m *Memory) Rewrite(entries []Entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entries = entries
}

// Barrier makes everything stored so far survive a PowerCut.
func (m *Memory) Barrier() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.durable = len(m.entries)
}

// PowerCut loses everything that was stored after the last Barrier. Sequences are given out again, as a server would
// after such a loss.
func (m *Memory) PowerCut() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entries = m.entries[:m.durable]
	m.seq = 0
	if n := len(m.entries); n > 0 {
		m.seq = m.entries[n-1].Seq
	}
}

// last finds the newest entry of a subject. The caller holds mu.
func (m *Memory) last(subject string) (Entry, bool) {
	for i := len(m.entries) - 1; i >= 0; i-- {
		if m.entries[i].Subject == subject {
			return m.entries[i], true
		}
	}
	return Entry{}, false
}

// now is the clock of the log.
func (m *Memory) now() time.Time {
	if m.Clock == nil {
		return time.Now()
	}
	return m.Clock()
}

// Matches reports whether a NATS subject filter ("*" one token, ">" the rest) matches a subject.
func Matches(filter, subject string) bool {
	want, have := strings.Split(filter, "."), strings.Split(subject, ".")
	for i, w := range want {
		if w == ">" {
			return len(have) > i
		}
		if i >= len(have) || (w != "*" && w != have[i]) {
			return false
		}
	}
	return len(want) == len(have)
}
