package sandbox

import (
	"encoding/json"
	"time"
)

// Entry is one call as the sandbox saw it. It holds no credential and no body.
type Entry struct {
	Seq       int       `json:"seq"`
	Time      time.Time `json:"time"`
	Provider  string    `json:"provider,omitempty"`
	Method    string    `json:"method"`
	Path      string    `json:"path"`            // with the query
	Route     string    `json:"route,omitempty"` // pattern; empty if no operation has this path and method
	Bucket    string    `json:"bucket,omitempty"`
	Principal string    `json:"principal,omitempty"` // whose credential: "app:0oa…", "ssws:…", "asa:…", "mosaic:…"
	Status    int       `json:"status"`              // 0: the caller got no answer
	RequestID string    `json:"request_id,omitempty"`
	Effects   []string  `json:"effects,omitempty"` // "<provider>.<object>.<verb> <id>", one for each change
	Fault     string    `json:"fault,omitempty"`   // "<fault id> <kind>" of the fault that shaped the answer
}

// Journal is a list of calls, oldest first.
type Journal []Entry

// Effects returns every effect of the journal in the order in which they
// happened. An effect that happened twice is listed twice.
func (j Journal) Effects() []string {
	var all []string
	for _, e := range j {
		all = append(all, e.Effects...)
	}
	return all
}

// Count returns how many calls answered with this status; 0 counts the calls
// without an answer.
func (j Journal) Count(status int) int {
	n := 0
	for _, e := range j {
		if e.Status == status {
			n++
		}
	}
	return n
}

// Of returns the calls of one provider: "okta", "asa" or "mosaic".
func (j Journal) Of(provider string) Journal {
	var some Journal
	for _, e := range j {
		if e.Provider == provider {
			some = append(some, e)
		}
	}
	return some
}

// book keeps the journal. With a bound it forgets the oldest entries.
type book struct {
	bound   int // 0: none
	entries []Entry
	first   int // index of the oldest entry once the bound is reached
	seq     int
}

func (b *book) add(e Entry) {
	b.seq++
	e.Seq = b.seq
	if b.bound == 0 || len(b.entries) < b.bound {
		b.entries = append(b.entries, e)
		return
	}
	b.entries[b.first] = e
	b.first = (b.first + 1) % b.bound
}

// since returns a copy of the entries with a greater sequence number.
func (b *book) since(seq int) Journal {
	out := make(Journal, 0, len(b.entries))
	for i := range b.entries {
		if e := b.entries[(b.first+i)%len(b.entries)]; e.Seq > seq {
			out = append(out, e)
		}
	}
	return out
}

// Journal returns a copy of the calls so far. With [Options.JournalSize] only
// the last of them are there.
func (sb *Sandbox) Journal() Journal { return sb.JournalSince(0) }

// JournalSince returns a copy of the calls whose Seq is greater than seq.
func (sb *Sandbox) JournalSince(seq int) Journal {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	return sb.book.since(seq)
}

// ResetJournal forgets the calls so far; Seq goes on counting.
func (sb *Sandbox) ResetJournal() {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	sb.book.entries, sb.book.first = nil, 0
}

// MarshalJSON writes an empty journal as a list.
func (j Journal) MarshalJSON() ([]byte, error) {
	if j == nil {
		return []byte("[]"), nil
	}
	return json.Marshal([]Entry(j))
}
