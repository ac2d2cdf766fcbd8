package outcome

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"keyturn/internal/events"
	"keyturn/internal/secret"
	"keyturn/internal/stream"
)

const (
	// hookTimeout is how long a receiver may take (Standard Webhooks 1.0.0 advises 15 to 30 s).
	hookTimeout = 15 * time.Second
	// giveUp is how long one event is tried for. Standard Webhooks advises days: a receiver's outage over a weekend must
	// not lose anything.
	giveUp = 72 * time.Hour
	// leastTries is how often one is tried however old it is, which takes eight minutes: what waited behind others, or for a
	// receiver that was taken out of the settings, is older than giveUp when it is posted first.
	leastTries = 20
	// firstDelay and mostDelay bound the wait before an event is posted again.
	firstDelay = time.Second
	mostDelay  = time.Minute
	// posting is how many posts are under way at a time.
	posting = 8
	// sayEvery is how often it is said that a receiver fails: hundreds of events wait for it, each tried once a minute.
	sayEvery = 10 * time.Second
	// maxAnswer is how much of an answer is read, in bytes, so that the connection can be used again.
	maxAnswer = 64 << 10
)

// Hook posts outcome events to one receiver, signed as Standard Webhooks 1.0.0 says, as CloudEvents in structured mode.
type Hook struct {
	URL  string
	Only []string // which, as <what>.<state> with * for either: "case.*", "action.dead"; none = all

	keys [][]byte
	now  func() time.Time

	mu   sync.Mutex
	said time.Time // when the last failure was told
	left int       // how many were not told since
}

// NewHook makes a hook. key is the secret as Standard Webhooks writes it, whsec_ and base64 of 24 to 64 bytes; or
// several with spaces between them, by each of which everything is signed while a receiver goes from one to another.
func NewHook(url string, key secret.Value, only []string) (*Hook, error) {
	var keys [][]byte
	for _, text := range strings.Fields(key.Reveal()) {
		raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, "whsec_"))
		if err != nil || len(raw) < 24 || len(raw) > 64 {
			keys = nil
			break
		}
		keys = append(keys, raw)
	}
	if len(keys) == 0 {
		return nil, errors.New("outcome hook: the secret must be whsec_ and base64 of 24 to 64 bytes")
	}
	if err := checkOnly(only); err != nil {
		return nil, err
	}
	return &Hook{URL: url, Only: only, keys: keys, now: time.Now}, nil
}

// Run posts until ctx ends.
func (h *Hook) Run(ctx context.Context, bus Bus) error {
	return bus.Consume(ctx, stream.Outcomes(), posting, h.Handle)
}

// Handle posts one outcome event. What the receiver does not take is posted again, the same bytes under the same id,
// for three days.
func (h *Hook) Handle(ctx context.Context, m *stream.Message) events.Outcome {
	_, name, _ := strings.Cut(m.Subject, ".")
	if !h.wants(name) {
		return events.Outcome{Verdict: events.Done}
	}
	wait, err := h.post(ctx, m.Data)
	switch {
	case err == nil:
		// Dying here: it is posted again, and its id tells the receiver.
		return events.Outcome{Verdict: events.Done}
	case ctx.Err() != nil:
		// The stop ended the post, and says nothing of the receiver.
		return events.Outcome{Verdict: events.Retry}
	case h.now().Sub(m.Stored) > giveUp && m.Deliveries >= leastTries:
		return events.Outcome{Verdict: events.Done, Err: fmt.Errorf("given up after %s: %w", giveUp, err)}
	}
	return events.Outcome{Verdict: events.Retry, Delay: max(delay(m.Deliveries), wait), Err: h.say(err)}
}

// say gives a failure to be logged, with the number of those that were left out since the last one; nil when it is to be
// left out itself. The counter of settled messages has them all.
func (h *Hook) say(err error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	if now.Sub(h.said) < sayEvery {
		h.left++
		return nil
	}
	left := h.left
	h.said, h.left = now, 0
	if left == 0 {
		return err
	}
	return fmt.Errorf("%w, and %d more were not taken meanwhile", err, left)
}

// wants reports whether the receiver wants a change, by its name "<what>.<state>".
func (h *Hook) wants(name string) bool {
	if slices.ContainsFunc(h.Only, func(pattern string) bool { return matches(pattern, name) }) {
		return true
	}
	return len(h.Only) == 0
}

// delay is exponential with full jitter, by how often the event was tried.
func delay(tried int) time.Duration {
	bound := min(firstDelay<<min(tried, 10), mostDelay)
	return firstDelay/2 + rand.N(bound)
}

// post delivers one event. The error says what the receiver answered, and nothing of what it said; wait is how long it asks
// to be left alone.
func (h *Hook) post(ctx context.Context, body []byte) (wait time.Duration, err error) {
	var about struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(body, &about); err != nil {
		return 0, fmt.Errorf("post outcome: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, hookTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(body))
	if err != nil {
		return 0, errors.New("post outcome: the address is none")
	}
	req.Header.Set("Content-Type", events.ContentType)
	h.sign(req.Header, about.ID, body)
	// What is signed is meant for this receiver: it is never carried elsewhere, and where to is not even read.
	resp, err := http.DefaultTransport.RoundTrip(req)
	if errors.Is(err, context.DeadlineExceeded) {
		return 0, fmt.Errorf("post outcome %s: no answer within %s", about.ID, hookTimeout)
	}
	if err != nil {
		return 0, fmt.Errorf("post outcome %s: no whole answer: %w", about.ID, secret.Unquoted(err))
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer))
	switch resp.StatusCode / 100 {
	case 2:
		return 0, nil
	case 3:
		return 0, fmt.Errorf("post outcome %s: answered %d, which is not followed: set KEYTURN_OUTCOME_URL to the address that takes it", about.ID, resp.StatusCode)
	}
	return retryAfter(resp), fmt.Errorf("post outcome %s: answered %d", about.ID, resp.StatusCode)
}

// retryAfter is how long a receiver asks to be left alone, in seconds (RFC 9110 section 10.2.3); a date is not read, as its
// clock is nobody's. It asks in vain for more than mostDelay.
func retryAfter(resp *http.Response) time.Duration {
	if resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusServiceUnavailable {
		return 0
	}
	seconds, err := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 31)
	if err != nil {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, mostDelay) //nolint:gosec // of 31 bits
}

// sign sets the headers of Standard Webhooks 1.0.0, "Signature scheme": HMAC-SHA-256 over id, time and body, by each
// secret, with a space between.
func (h *Hook) sign(header http.Header, id string, body []byte) {
	at := strconv.FormatInt(h.now().Unix(), 10)
	var signatures []string
	for _, key := range h.keys {
		mac := hmac.New(sha256.New, key)
		_, _ = fmt.Fprintf(mac, "%s.%s.", id, at)
		mac.Write(body)
		signatures = append(signatures, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	header.Set("webhook-id", id)
	header.Set("webhook-timestamp", at)
	header.Set("webhook-signature", strings.Join(signatures, " "))
}
