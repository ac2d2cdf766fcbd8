package apiclient

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
)

// Listing reads a resource page by page, following rel="next" of the Link headers.
type Listing[T any] struct {
	Client *Client
	First  Request                       // the first page
	Items  func(r Response) ([]T, error) // reads one page
	ID     func(item T) string           // what makes two items the same; empty = the item is not readable
	// Stale reports whether an error says that the cursor is no longer good; nil = cursors never go bad.
	Stale func(err error) bool
}

// All gives each item once, and ends after the first error. It holds one page, and a fingerprint of 64 bits for
// each item given: content that shifts while it is read, and a listing that starts anew, would give items twice otherwise.
//
// A page may be empty, and a short page may have a next one: only a missing link ends the listing, or one that leads
// to where it stands. A stale cursor starts the listing over, once. Links that lead round in a circle are an error, and so
// are links that lead on for ever with nothing new.
func (l Listing[T]) All(ctx context.Context) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		seed, given := maphash.MakeSeed(), map[uint64]struct{}{}
		q, restarted, loop, idle := l.First, false, circle{}, 0
		for {
			items, next, err := l.page(ctx, q)
			if err != nil && l.Stale != nil && l.Stale(err) && !restarted && q.next != "" {
				q, restarted, loop = l.First, true, circle{}
				continue
			}
			if err != nil {
				yield(zero, err)
				return
			}
			idle++
			for _, item := range items {
				h := maphash.String(seed, l.ID(item))
				if _, ok := given[h]; ok {
					continue
				}
				if len(given) == maxItems {
					yield(zero, &Error{Op: q.Op, Cause: Transient, Err: fmt.Errorf("%w: after %d items", errEndless, maxItems)})
					return
				}
				given[h] = struct{}{}
				idle = 0
				if !yield(item, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			if loop.closed(next) {
				yield(zero, &Error{Op: q.Op, Cause: Transient, Err: errors.New("the listing leads round in a circle")})
				return
			}
			if idle >= maxIdle {
				yield(zero, &Error{Op: q.Op, Cause: Transient, Err: fmt.Errorf("the listing goes on after %d pages with nothing new", idle)})
				return
			}
			q.next = next
		}
	}
}

// maxItems bounds a listing of which nothing is kept but its fingerprints, which are a quarter of a gigabyte by then.
const maxItems = 8 << 20

// maxIdle is how many pages in a row may hold nothing new. A provider that looks through everybody for a few sends empty
// ones; one whose cursor grows and leads nowhere would take the budget of its bucket for ever, and nobody would hear of it.
const maxIdle = 1000

// page reads one page. next is empty when there is none, or when it is the page just read.
func (l Listing[T]) page(ctx context.Context, q Request) (items []T, next string, err error) {
	r, err := l.Client.Do(ctx, q)
	if err != nil {
		return nil, "", err
	}
	if items, err = l.Items(r); err != nil {
		return nil, "", r.Unreadable(q.Op, err)
	}
	for _, item := range items {
		if l.ID(item) == "" {
			return nil, "", r.Unreadable(q.Op, errors.New("an item without id"))
		}
	}
	at, err := q.target(l.Client.Base)
	if err != nil {
		return nil, "", &Error{Op: q.Op, Cause: Permanent, Err: err}
	}
	here, err := l.Client.Base.Parse(at)
	if err != nil {
		return nil, "", &Error{Op: q.Op, Cause: Permanent, Err: errors.New("path is no URL")}
	}
	if next, err = nextTarget(r.Header, here); err != nil {
		return nil, "", &Error{Op: q.Op, Status: r.Status, Cause: Permanent, RequestID: r.RequestID, Err: err}
	}
	if next == at {
		next = ""
	}
	return items, next, nil
}

// circle finds links that lead back to an earlier page, in constant memory (Brent's method): it remembers one page,
// and twice as long each time.
type circle struct {
	mark         string
	steps, limit int
}

func (c *circle) closed(next string) bool {
	if next == c.mark {
		return true
	}
	if c.steps++; c.steps > c.limit {
		c.mark, c.limit, c.steps = next, max(1, 2*c.limit), 0
	}
	return false
}

// Failed is the listing that could not be asked for.
func Failed[T any](err error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		yield(zero, err)
	}
}
