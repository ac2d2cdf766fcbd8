package burst

import (
	"context"
	"errors"
	"strings"
	"sync"

	"keyturn/internal/ledger"
)

// memory is a ledger.Log that keeps the newest record of each subject.
type memory struct {
	mu   sync.Mutex
	seq  uint64
	last map[string]map[string]record // by case, by subject
}

type record struct {
	seq  uint64
	data []byte
}

// Append implements ledger.Log.
func (m *memory) Append(_ context.Context, subject string, after uint64, data []byte) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	of := caseOf(subject)
	if m.last[of][subject].seq != after {
		return 0, ledger.ErrConflict
	}
	m.seq++
	if m.last[of] == nil {
		m.last[of] = map[string]record{}
	}
	m.last[of][subject] = record{m.seq, append([]byte(nil), data...)}
	return m.seq, nil
}

// Last implements ledger.Log.
func (m *memory) Last(_ context.Context, subject string) (uint64, []byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.last[caseOf(subject)][subject]
	if !ok {
		return 0, nil, ledger.ErrNotFound
	}
	return r.seq, r.data, nil
}

// Range implements ledger.Log, as far as that goes with the newest records alone: of one subject.
func (m *memory) Range(ctx context.Context, filter string, _ ledger.From, fn func(string, uint64, []byte) error) error {
	seq, data, err := m.Last(ctx, filter)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil
	}
	return fn(filter, seq, data)
}

// forget drops what is known of a case: the disk would have it.
func (m *memory) forget(caseID string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.last, caseID)
}

// caseOf is the case in a subject: the second of its parts.
func caseOf(subject string) string {
	_, rest, _ := strings.Cut(subject, ".")
	of, _, _ := strings.Cut(rest, ".")
	return of
}
