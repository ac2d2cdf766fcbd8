package stream

import (
	"context"
	"slices"
	"strings"

	"keyturn/internal/events"
)

// Stray is work that nobody does.
type Stray struct {
	Connection string // of which no worker runs the lane
	Waiting    uint64 // actions that wait there, those that are to wait longer than a minute not counted
}

// Strays lists the connections at which actions wait, and which are neither among known nor held by any worker: they
// were taken out of the configuration, and what was planned for them before stays where it is.
func (b *Bus) Strays(ctx context.Context, known []string) ([]Stray, error) {
	s, err := b.stream(ctx, streamActions)
	if err != nil {
		return nil, refusal("look for strays in "+streamActions, err)
	}
	waiting := map[string]uint64{}
	list := s.ListConsumers(ctx)
	for info := range list.Info() {
		connection, ok := connectionOf(info.Config.FilterSubject)
		if n := info.NumPending + uint64(max(info.NumAckPending, 0)); ok && n > 0 && !slices.Contains(known, connection) { //nolint:gosec // not negative
			waiting[connection] += n
		}
	}
	if err := list.Err(); err != nil {
		return nil, refusal("look for strays in "+streamActions, err)
	}
	if len(waiting) == 0 {
		return nil, nil
	}
	held, err := b.Leases(ctx)
	if err != nil {
		return nil, err
	}
	for _, l := range held {
		delete(waiting, l.Connection) // by a worker that has another configuration
	}
	strays := make([]Stray, 0, len(waiting))
	for connection, n := range waiting {
		strays = append(strays, Stray{Connection: connection, Waiting: n})
	}
	slices.SortFunc(strays, func(a, b Stray) int { return strings.Compare(a.Connection, b.Connection) })
	return strays, nil
}

// connectionOf gives the connection of a lane's consumer by what it reads (ActionsOf).
func connectionOf(filter string) (string, bool) {
	tokens := strings.Split(filter, ".")
	if len(tokens) != 4 || tokens[0] != prefixActions || !events.Class(tokens[2]).Valid() {
		return "", false
	}
	return tokens[1], true
}

// Enlist makes the consumers of a connection's lane, if they are not there: only what has a consumer is counted as a
// stray when the connection is gone.
func (b *Bus) Enlist(ctx context.Context, connection string) error {
	for _, class := range events.Classes() {
		c := ActionsOf(connection, class)
		if _, err := b.consumer(ctx, c); err != nil {
			return refusal("create consumer "+c.String(), err)
		}
	}
	return nil
}
