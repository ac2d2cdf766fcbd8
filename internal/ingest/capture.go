package ingest

import (
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Bounds of the tokens that are kept for the operator.
const (
	captureTime = 15 * time.Minute // from the time that the operator asks for one
	maxCaptured = 8                // tokens of a source
	maxToken    = 1 << 10          // bytes
)

// Captures keeps the tokens that senders hand over before they sign. They are in memory only, for a source whose
// operator has asked for one, for a quarter of an hour and until they were read. Nobody logs or stores them. The zero
// value is ready.
type Captures struct {
	mu   sync.Mutex
	open map[string]*window // by source
	now  func() time.Time   // nil = time.Now
}

type window struct {
	until  time.Time
	tokens []Captured
}

// Captured is a token and when it came.
type Captured struct {
	Token string    `json:"token"`
	Time  time.Time `json:"time"`
}

func (c *Captures) clock() time.Time {
	if c.now == nil {
		return time.Now()
	}
	return c.now()
}

// expire forgets what was asked for too long ago.
func (c *Captures) expire() {
	for source, w := range c.open {
		if c.clock().After(w.until) {
			delete(c.open, source)
		}
	}
}

// put keeps a token if somebody waits for one. The first ones stay: whoever floods the source afterwards takes nothing
// away.
func (c *Captures) put(source, token string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expire()
	w := c.open[source]
	if w == nil || token == "" || len(token) > maxToken || len(w.tokens) >= maxCaptured {
		return false
	}
	if !slices.ContainsFunc(w.tokens, func(t Captured) bool { return t.Token == token }) {
		// A copy: the token is a part of the delivery's text, which would be kept with it.
		w.tokens = append(w.tokens, Captured{Token: strings.Clone(token), Time: c.clock().UTC()})
	}
	return true
}

// Wait begins to wait for tokens of a source.
func (c *Captures) Wait(source string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expire()
	if c.open == nil {
		c.open = map[string]*window{}
	}
	c.open[source] = &window{until: c.clock().Add(captureTime)}
}

// waiting reports whether somebody waits for a token of a source.
func (c *Captures) waiting(source string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expire()
	return c.open[source] != nil
}

// Take gives the tokens of a source and forgets them. waiting is false when nobody has asked for any.
func (c *Captures) Take(source string) (tokens []Captured, waiting bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expire()
	w := c.open[source]
	if w == nil {
		return nil, false
	}
	tokens, w.tokens = w.tokens, nil
	return tokens, true
}

// Admin adds to what the admin listener serves the path /capture/{source}, where the operator gets the tokens: POST
// begins to wait for one, GET gives what came and forgets it. It answers on the machine itself only: others may reach
// the listener for its metrics. The header Keyturn-Operator must be there, with any value: a page in a browser on that
// machine cannot send it to another origin without asking first (Fetch, CORS preflight), and nothing here answers that.
func (h *Handler) Admin(rest http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/capture/{source}", h.capture)
	mux.Handle("/", rest)
	return mux
}

// headerOperator is what no page of another origin can send by itself.
const headerOperator = "Keyturn-Operator"

// local reports whether a request comes from this machine, and was meant for it: a page in a browser could otherwise
// have a name of its own point here.
func local(r *http.Request) bool {
	for _, address := range []string{r.RemoteAddr, r.Host} {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			host = address
		}
		if ip := net.ParseIP(strings.Trim(host, "[]")); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return false
		}
	}
	return true
}

func (h *Handler) capture(w http.ResponseWriter, r *http.Request) {
	source := r.PathValue("source")
	s := (*h.sources.Load())[source]
	w.Header().Set("Cache-Control", "no-store")
	switch {
	case !local(r):
		http.Error(w, "ask on the machine itself", http.StatusForbidden)
	case r.Header.Get(headerOperator) == "":
		http.Error(w, "say that it is you who asks: -H '"+headerOperator+": yes'", http.StatusForbidden)
	case s == nil || len(s.shakes.captures) == 0:
		http.Error(w, "no source of that name hands over a token", http.StatusNotFound)
	case r.Method == http.MethodPost:
		h.captures.Wait(source)
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodGet:
		tokens, waiting := h.captures.Take(source)
		if !waiting {
			http.Error(w, "nobody waits for a token: POST here first, then let the sender hand it over", http.StatusConflict)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(tokens)
	default:
		http.Error(w, "GET or POST", http.StatusMethodNotAllowed)
	}
}
