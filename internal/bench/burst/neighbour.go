package burst

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"keyturn/internal/actions"
	"keyturn/internal/events"
	"keyturn/internal/sandbox"
)

// How many actions are at the throttled connection and, behind them, at the healthy one.
const (
	atThrottled = 1000
	atHealthy   = 100
)

// throttle is how a provider refuses calls.
type throttle string

const (
	// forgives: for ten minutes every call is answered 429 with the vendor's headers, and then every call is served.
	forgives throttle = "forgives: refuses all for 10 min, then serves all"
	// silent forgives too, and says neither how long nor why.
	silent throttle = "the same, without any header"
	// quota: Okta's published limits, window by window; a refused call spends nothing.
	quota throttle = "fixed quota: the published limits, window by window"
	// free: no call is refused.
	free throttle = "refuses nothing"
)

// refusing answers every call 429, as Okta does, until a time.
type refusing struct {
	to     http.RoundTripper
	until  time.Time
	silent bool // without the headers that say when to come again
}

// RoundTrip implements http.RoundTripper.
func (r refusing) RoundTrip(req *http.Request) (*http.Response, error) {
	now := time.Now()
	if !now.Before(r.until) {
		return r.to.RoundTrip(req)
	}
	h := http.Header{}
	h.Set("Date", now.UTC().Format(http.TimeFormat))
	h.Set("Content-Type", "application/json")
	if !r.silent {
		h.Set("X-Rate-Limit-Limit", "300")
		h.Set("X-Rate-Limit-Remaining", "0")
		h.Set("X-Rate-Limit-Reset", strconv.FormatInt(now.Truncate(time.Minute).Add(time.Minute).Unix(), 10))
	}
	const body = `{"errorCode":"E0000047","errorSummary":"API call exceeded rate limit due to too many requests."}`
	return &http.Response{
		Status: "429 Too Many Requests", StatusCode: http.StatusTooManyRequests, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), Request: req,
	}, nil
}

// neighbours is what became of a throttled connection and its healthy neighbour.
type neighbours struct {
	actions      int           // at the throttled one
	calls, waits int           // at the throttled one
	took         time.Duration // until it was done
	healthy      time.Duration // until the healthy one was
}

// design brings plans about in order, and calls done for each that ended.
type design func(to map[string]actions.Clients, plans [][]events.Action, done func(events.Action)) error

// ours is Keyturn's design.
func ours(to map[string]actions.Clients, plans [][]events.Action, done func(events.Action)) error {
	s := newSite(to)
	defer s.close()
	for _, list := range plans {
		if err := s.accept(context.Background(), list[0].Case, list, func() { done(list[0]) }); err != nil {
			return err
		}
	}
	s.open.Wait()
	if n := s.buried.Load(); n > 0 {
		return fmt.Errorf("%d dead letters", n)
	}
	return nil
}

// fields is the common one.
func fields(to map[string]actions.Clients, plans [][]events.Action, done func(events.Action)) error {
	n := newNaive(to, 0)
	for _, list := range plans {
		n.add(list, func() { done(list[0]) })
	}
	n.run(concurrency * len(to))
	return nil
}

// beside has a design work for so many at a connection that is throttled like this, and for a hundred at a healthy one.
func beside(how throttle, throttled int, by design) (o neighbours, err error) {
	bubble(func() { o, err = besideNow(how, throttled, by) })
	return o, err
}

func besideNow(how throttle, throttled int, by design) (o neighbours, err error) {
	o.actions = throttled
	limits := sandbox.Unlimited()
	if how == quota {
		limits = sandbox.DefaultLimits()
		limits[sandbox.BucketASA] = sandbox.Limit{}
	}
	c := newCompany(throttled, atHealthy, limits)
	way := c.Transport()
	first := newWire(way, 0)
	to, err := connect(c.Sandbox, first, newWire(way, 1))
	if err != nil {
		return o, err
	}
	if how == forgives || how == silent {
		first.to = refusing{to: way, until: time.Now().Add(10 * time.Minute), silent: how == silent}
	}
	asked, _ := first.sum()
	plans, err := suspensions(c)
	if err != nil {
		return o, err
	}
	began := time.Now()
	var mu sync.Mutex
	err = by(to, plans, func(a events.Action) {
		mu.Lock()
		defer mu.Unlock()
		if a.Connection == atASA {
			o.healthy = max(o.healthy, time.Since(began))
			return
		}
		o.took = max(o.took, time.Since(began))
	})
	o.calls, o.waits = first.sum()
	o.calls -= asked
	return o, err
}

// suspensions are the plans: a suspension at the throttled connection for each leaver, and behind them all a device at
// the healthy one for each traveller.
func suspensions(c company) ([][]events.Action, error) {
	var plans [][]events.Action
	for i, p := range c.leavers {
		a, err := step(fmt.Sprintf("throttled%d", i), "suspend", "okta.suspend_user", atOkta, events.Normal, "user:"+p.Email,
			map[string]any{"user": events.UserRef{Login: p.Email}})
		if err != nil {
			return nil, err
		}
		plans = append(plans, []events.Action{a})
	}
	for i, p := range c.travellers {
		a, err := step(fmt.Sprintf("healthy%d", i), "device", "asa.revoke_clients", atASA, events.Normal, "user:"+p.Email,
			map[string]any{"user": events.UserRef{ASAUsername: p.asa}})
		if err != nil {
			return nil, err
		}
		plans = append(plans, []events.Action{a})
	}
	return plans, nil
}

// callsOfOne is what the proof of one suspension needs: read, suspend, read.
const callsOfOne = 3

// extra is how many calls were made that were not needed, by thousand actions.
func (o neighbours) extra() int { return (o.calls - callsOfOne*o.actions) * 1000 / o.actions }

// Neighbour measures what a throttled connection costs itself and its neighbour.
func Neighbour(ctx context.Context, w io.Writer, _ int) error {
	fmt.Fprintln(w, leavesOut)
	alone, err := beside(free, 0, ours)
	if err != nil {
		return err
	}
	aloneField, err := beside(free, 0, fields)
	if err != nil {
		return err
	}
	for _, how := range []throttle{forgives, silent, quota} {
		us, err1 := beside(how, atThrottled, ours)
		them, err2 := beside(how, atThrottled, fields)
		if err := errors.Join(ctx.Err(), err1, err2); err != nil {
			return err
		}
		late, lateField := us.healthy-alone.healthy, them.healthy-aloneField.healthy
		err := table(w, fmt.Sprintf("%d actions at a connection that answers 429 (%s), %d behind them at a healthy one", atThrottled, how, atHealthy),
			"one queue, doubling delays", []row{
				{what: "calls more than needed, of 1,000 actions", bound: "30", ours: fmt.Sprint(us.extra()), field: fmt.Sprint(them.extra()), holds: us.extra() <= 30},
				{what: "calls answered 429", bound: "", ours: fmt.Sprint(us.waits), field: fmt.Sprint(them.waits), holds: true},
				{what: "the healthy hundred, later than alone (" + short(alone.healthy) + ")", bound: "0.1 s", ours: short(late), field: short(lateField), holds: late <= 100*time.Millisecond},
				{what: "the throttled thousand done after", bound: "", ours: short(us.took), field: short(them.took), holds: us.took <= them.took},
			})
		if err != nil {
			return err
		}
	}
	return nil
}
