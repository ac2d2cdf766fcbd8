package unlimited

import (
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Provider answers as an Okta org does, with a budget that nobody can spend: users who are active until they are
// suspended. What it costs is the least that HTTP costs, so that it hides nothing of what it is compared with.
type Provider struct {
	URL string

	server    *http.Server
	seen      func(id string) // told of each call; nil = nobody is
	calls     atomic.Int64
	spent     atomic.Bool
	suspended sync.Map // ids
}

// StartProvider listens on loopback. seen, when not nil, is told of each call by the user's id.
func StartProvider(seen func(id string)) (*Provider, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Provider{URL: "http://" + l.Addr().String(), seen: seen}
	p.server = &http.Server{Handler: p, ReadHeaderTimeout: time.Minute}
	go func() { _ = p.server.Serve(l) }() // ends with Close
	return p, nil
}

// Spend has it say from now on that its budget is spent until the end of the minute, and answer all the same.
func (p *Provider) Spend() { p.spent.Store(true) }

// Close ends it.
func (p *Provider) Close() error { return p.server.Close() }

// ServeHTTP implements http.Handler.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.calls.Add(1)
	h := w.Header()
	h.Set("Content-Type", "application/json")
	limit, left := "100000000", "99999999"
	if p.spent.Load() {
		limit, left = "600", "0"
	}
	h.Set("X-Rate-Limit-Limit", limit)
	h.Set("X-Rate-Limit-Remaining", left)
	h.Set("X-Rate-Limit-Reset", strconv.FormatInt(time.Now().Unix()/60*60+60, 10))
	h.Set("X-Okta-Request-Id", "sample")
	id, verb, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, usersPath), "/")
	if p.seen != nil {
		p.seen(id)
	}
	if r.Method == http.MethodPost && verb == suspendVerb {
		p.suspended.Store(id, true)
		_, _ = w.Write([]byte("{}"))
		return
	}
	status := "ACTIVE"
	if _, ok := p.suspended.Load(id); ok {
		status = "SUSPENDED"
	}
	_, _ = fmt.Fprintf(w, userForm, id, status, id, id)
}

const (
	usersPath   = "/api/v1/users/"
	suspendVerb = "lifecycle/suspend"
	// userForm is about as long as Okta's own answer without its links.
	userForm = `{"id":%q,"status":%q,"created":"2024-02-01T09:00:00.000Z","activated":"2024-02-01T09:10:00.000Z",` +
		`"statusChanged":"2024-02-01T09:10:00.000Z","lastLogin":"2026-01-30T07:45:00.000Z","lastUpdated":"2025-11-02T10:00:00.000Z",` +
		`"passwordChanged":"2025-10-02T10:00:00.000Z","type":{"id":"otysample"},"profile":{"firstName":"Sample","lastName":"Person",` +
		`"mobilePhone":null,"secondEmail":null,"login":"%s@acme.example","email":"%s@acme.example"},"credentials":{"provider":` +
		`{"type":"OKTA","name":"OKTA"}}}`
)

// call is one HTTP call of an action.
type call struct{ Method, Path string }

// callsOf are what Keyturn calls to suspend a user and to prove it: it looks, changes, and looks again. Who is suspended
// already is only looked at.
func callsOf(id string, suspended bool) []call {
	look := call{http.MethodGet, usersPath + id}
	if suspended {
		return []call{look}
	}
	return []call{look, {http.MethodPost, usersPath + id + "/" + suspendVerb}, look}
}
