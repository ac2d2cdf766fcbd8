package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"keyturn/internal/config"
	"keyturn/internal/secret"
	"keyturn/internal/shield"
)

// Bounds of polling (RFC 8936).
const (
	pollEvents  = 50               // tokens of one answer: each is stored before the next is asked for
	pollAnswer  = 4 << 20          // bytes of one answer
	pollTimeout = 30 * time.Second // of one request
	pollSlowest = 5 * time.Minute  // between two requests of an issuer that fails

	pollOK     = "ok"
	pollFailed = "failed"
)

// Poll fetches the tokens of all sources that say where, until ctx ends; it goes on with others when the sources are
// replaced. The error is nil.
func (h *Handler) Poll(ctx context.Context) error {
	running := map[*Source]context.CancelFunc{}
	var all sync.WaitGroup
	defer all.Wait()
	for {
		wanted := map[*Source]bool{}
		for _, s := range *h.sources.Load() {
			wanted[s] = s.poller != nil
			if _, runs := running[s]; runs || s.poller == nil {
				continue
			}
			own, cancel := context.WithCancel(ctx)
			running[s] = cancel
			all.Go(func() {
				shield.Keep(own, h.log, "the poll of source "+s.name, func(ctx context.Context) { s.poller.run(ctx, h) })
			})
		}
		for s, cancel := range running {
			if !wanted[s] {
				cancel()
				delete(running, s)
			}
		}
		select {
		case <-h.replaced:
		case <-ctx.Done():
			for _, cancel := range running {
				cancel()
			}
			return nil
		}
	}
}

// poller fetches the tokens of one source.
type poller struct {
	source *Source
	set    *setJWS
	config.Poll
	client *http.Client
	failed int  // requests in a row
	held   bool // the last request was held as long as it may be, and nothing came

	// What the issuer is told in the next request. It is forgotten only when an answer came: until then the issuer may
	// not have heard it, and hearing it twice does no harm.
	acks   []string
	refuse map[string]*SETError
	last   []string // what the last answer held: whoever sends the same again is not asked at once
}

func newPoller(s *Source, spec config.Poll) *poller {
	return &poller{source: s, set: findSet(s.verifier), Poll: spec, client: outgoing(spec.Wait + pollTimeout), refuse: map[string]*SETError{}}
}

// findSet gives the verifier of tokens among those of a source. What else a push must prove (a header, an address) says
// who calls; here we call.
func findSet(v Verifier) *setJWS {
	if set, ok := v.(*setJWS); ok {
		return set
	}
	list, _ := v.(allOf)
	for _, k := range list {
		if set := findSet(k); set != nil {
			return set
		}
	}
	return nil
}

// run asks until ctx ends.
func (p *poller) run(ctx context.Context, h *Handler) {
	for ctx.Err() == nil {
		wait := p.round(ctx, h)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// round asks once, takes what came, and tells how long to wait before the next.
func (p *poller) round(ctx context.Context, h *Handler) time.Duration {
	wait := p.Wait
	if p.held {
		wait = 0 // whether somebody is there at all is seen by a request that is not held
	}
	begun := time.Now()
	got, retry, err := p.ask(ctx, wait)
	switch {
	case err == nil:
		return p.heard(ctx, h, got, begun)
	case errors.Is(err, errHeld):
		p.held = true
		return 0
	case ctx.Err() != nil:
		return 0
	}
	p.failed++
	h.metrics.polls.WithLabelValues(p.source.name, pollFailed).Inc()
	again := p.backoff(retry)
	h.log.LogAttrs(ctx, slog.LevelError, "poll", slog.String("source", p.source.name), slog.Int("attempt", p.failed),
		slog.Duration("again_in", again), slog.String("error", err.Error()))
	return again
}

// heard takes what an answer holds, to a request that began then.
func (p *poller) heard(ctx context.Context, h *Handler, got pollReply, begun time.Time) time.Duration {
	h.metrics.polls.WithLabelValues(p.source.name, pollOK).Inc()
	probed := p.held
	p.failed, p.held, p.acks = 0, false, nil
	clear(p.refuse)
	open, ids := 0, slices.Sorted(maps.Keys(got.Sets))
	again := slices.Equal(ids, p.last)
	p.last = ids
	for _, id := range ids {
		if !p.take(ctx, h, id, got.Sets[id]) {
			open++
		}
	}
	// Dying here: the events are on disk and nothing is acknowledged. The tokens come again, and are the same cases.
	switch {
	case open > 0:
		return p.Interval // the broker was away: the issuer is asked for them again
	case probed && len(ids) == 0:
		return 0 // it is there, and has nothing: it may hold the next one
	case again:
		return max(0, p.Interval-time.Since(begun)) // it has not heard what became of them, or has nothing in spite of what it says
	case len(ids) > 0 || got.More:
		return 0
	}
	return p.Interval
}

// backoff doubles the interval with every failure, and is never shorter than what the issuer asks for.
func (p *poller) backoff(retry time.Duration) time.Duration {
	wait := p.Interval << min(p.failed-1, 10)
	if wait <= 0 || wait > pollSlowest {
		wait = pollSlowest
	}
	return max(wait/2+rand.N(wait/2+1), min(retry, time.Hour))
}

// take delivers one token and reports whether the issuer may be told what became of it: that it is stored, or that it
// will never be taken.
func (p *poller) take(ctx context.Context, h *Handler, id, token string) bool {
	start := h.now()
	rec := record{source: p.source.name, sampler: &p.source.sampler, bytes: len(token)}
	d := Delivery{
		Received: start.UTC(), Method: http.MethodPost, URL: &url.URL{Path: pathPrefix + p.source.name}, Body: []byte(token),
		Header: http.Header{"Content-Type": {"application/" + setType}},
	}
	a := h.shielded(ctx, &rec, func() answer { return p.answer(ctx, h, id, d, &rec) })
	h.done(ctx, rec, a, start)
	switch {
	case a.status < 300:
		p.acks = append(p.acks, id)
	case a.status < 500:
		p.refuse[id] = refused(a)
	default:
		return false
	}
	return true
}

func (p *poller) answer(ctx context.Context, h *Handler, id string, d Delivery, rec *record) answer {
	verified, err := p.set.Verify(d)
	if err == nil {
		var c registered
		if err = json.Unmarshal(verified.Claims, &c); err == nil && c.ID != id {
			err = errClaims
		}
	}
	if err != nil {
		rec.err = err
		return p.source.refusal(err)
	}
	rec.verified = true
	return h.believed(ctx, p.source, d, verified, rec)
}

// refused is what the issuer is told of a token that will never be taken.
func refused(a answer) *SETError {
	if e, ok := a.body.(*SETError); ok {
		return e
	}
	return &SETError{Code: "invalid_request", Description: http.StatusText(a.status)}
}

// pollRequest and pollReply are the two sides of RFC 8936, sections 2.2 and 2.3.
type pollRequest struct {
	MaxEvents   int                  `json:"maxEvents"`
	Immediately bool                 `json:"returnImmediately"`
	Ack         []string             `json:"ack,omitempty"`
	Errors      map[string]*SETError `json:"setErrs,omitempty"`
}

type pollReply struct {
	Sets map[string]string `json:"sets"`
	More bool              `json:"moreAvailable"`
}

// errHeld says that the transmitter held a request for as long as it may, without an answer.
var errHeld = errors.New("held without an answer")

// ask makes one request, which the transmitter may hold for so long (RFC 8936, section 2.4: returnImmediately); then it
// is given up with errHeld, unless an answer has begun. The error holds nothing of the answer's body; retry is how long
// the issuer wants to be left alone.
func (p *poller) ask(ctx context.Context, held time.Duration) (got pollReply, retry time.Duration, err error) {
	body, err := json.Marshal(pollRequest{MaxEvents: pollEvents, Immediately: held == 0, Ack: p.acks, Errors: p.refuse})
	if err != nil {
		return got, 0, err
	}
	ctx, give := context.WithCancelCause(ctx)
	defer give(nil)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.URL, bytes.NewReader(body))
	if err != nil {
		return got, 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set(authorization, "Bearer "+p.Token.Reveal())
	resp, err := p.send(req, held, give)
	if err != nil {
		return got, 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return got, time.Duration(max(seconds, 0)) * time.Second, fmt.Errorf("status %d: %s", resp.StatusCode, pollAdvice(resp.StatusCode))
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, pollAnswer+1))
	if err != nil {
		return got, 0, secret.Unquoted(err)
	}
	if len(b) > pollAnswer || json.Unmarshal(b, &got) != nil {
		return got, 0, fmt.Errorf("the answer is not that of RFC 8936, or larger than %d bytes", pollAnswer)
	}
	return got, 0, nil
}

// send sends a request and waits for the begin of its answer, for so long if it may be held.
func (p *poller) send(req *http.Request, held time.Duration, give context.CancelCauseFunc) (*http.Response, error) {
	if held == 0 {
		resp, err := p.client.Do(req)
		return resp, secret.Unquoted(err)
	}
	clock := time.AfterFunc(held, func() { give(errHeld) })
	resp, err := p.client.Do(req)
	switch inTime := clock.Stop(); {
	case err == nil && !inTime:
		_ = resp.Body.Close() // of an answer that can no longer be read
		return nil, errHeld
	case errors.Is(context.Cause(req.Context()), errHeld):
		return nil, errHeld
	}
	return resp, secret.Unquoted(err)
}

// pollAdvice says what to do about a status.
func pollAdvice(status int) string {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return "give poll.token a token that the transmitter accepts"
	case http.StatusNotFound:
		return "give poll.url the address of the stream's polling endpoint"
	}
	return "asked again later"
}
