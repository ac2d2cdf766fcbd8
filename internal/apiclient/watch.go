package apiclient

import "context"

// Exchange is one HTTP exchange of a call, as far as a person may see it.
type Exchange struct {
	Op        string // the operation, in the provider's own words; that of a token endpoint among them
	Status    int    // HTTP status; 0 when there was no reply
	RequestID string // the provider's id of the call; empty when it gave none
	Needs     string // the right that the call needs, as the vendor names it; empty = nobody knows
}

// watchKey is where a context keeps who watches.
type watchKey struct{}

// Watch gives a context whose calls tell fn of every exchange, those that failed among them. fn may be called by
// several goroutines at once, and after the call has returned: a token that one call began to fetch serves others too.
func Watch(ctx context.Context, fn func(Exchange)) context.Context {
	return context.WithValue(ctx, watchKey{}, fn)
}

// watched tells whoever watches ctx.
func (c *Client) watched(ctx context.Context, q Request, r Response) {
	fn, ok := ctx.Value(watchKey{}).(func(Exchange))
	if !ok {
		return
	}
	x := Exchange{Op: q.Op, Status: r.Status, RequestID: r.RequestID}
	if c.Needs != nil {
		x.Needs = c.Needs(q)
	}
	fn(x)
}
