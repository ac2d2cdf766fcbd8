package sandbox

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxBody is the largest request body that is read, in bytes.
const maxBody = 1 << 20

// errCut says that the caller gets no answer: the connection ends.
var errCut = errors.New("connection cut")

// reply is an answer before it is encoded. Body is written as JSON unless Raw
// is set.
type reply struct {
	status  int
	header  http.Header
	body    any
	raw     string
	rawType string
}

// with adds a header and returns the reply.
func (r reply) with(key, value string) reply {
	if r.header == nil {
		r.header = http.Header{}
	}
	r.header.Add(key, value)
	return r
}

// effect is one change that a call wants to make.
type effect struct {
	name  string
	apply func()
}

// call is one request on its way through the sandbox.
type call struct {
	sb        *Sandbox
	r         *http.Request
	body      []byte
	query     url.Values
	origin    string // scheme and host of links
	now       time.Time
	requestID string
	route     *route
	params    []string
	who       principal
	w         world // what handlers read: live, or as it was for a stale read
	effects   []effect
	rateView  window
	faultNote string
}

// principal is whose credential the call carries.
type principal struct {
	name   string // as the journal shows it; also the key of the rate limit
	scopes map[string]bool
	all    bool   // every Okta right
	role   string // ASA role
	user   string // id of the Okta user who made an API token, ASA user name, Mosaic client id
}

// change notes an effect. It happens after the handler has returned, all of a
// call's effects together, and not at all under a no_effect fault.
func (c *call) change(name string, apply func()) {
	c.effects = append(c.effects, effect{name, apply})
}

// param returns the value of the nth {name} of the route.
func (c *call) param(n int) string { return c.params[n] }

// ServeHTTP answers one call. A cut connection is closed after the first bytes
// of a status line, so that the caller's transport cannot take it for an idle
// connection and repeat the call by itself.
func (sb *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if isAdmin(r) {
		sb.serveAdmin(w, r)
		return
	}
	rep, err := sb.answer(r)
	if err != nil {
		cutConnection(w)
		return
	}
	status, header, body := rep.encode()
	for k, v := range header {
		w.Header()[k] = v
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // the caller may be gone; its effect stays
}

func cutConnection(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // HTTP/2: resets the stream
	}
	_, _ = io.WriteString(conn, "HTTP/1.")
	_ = conn.Close()
}

// encode renders the reply.
func (r reply) encode() (status int, header http.Header, body []byte) {
	header = r.header
	if header == nil {
		header = http.Header{}
	}
	switch {
	case r.rawType != "":
		body = []byte(r.raw)
		header.Set("Content-Type", r.rawType)
	case r.body != nil:
		b, err := json.Marshal(r.body)
		if err != nil {
			return http.StatusInternalServerError, header, nil
		}
		body = b
		header.Set("Content-Type", "application/json")
	}
	return r.status, header, body
}

// answer runs one call: fault, credential, rate limit, operation, effects,
// journal. It returns errCut or the context's error if the caller gets nothing.
func (sb *Sandbox) answer(r *http.Request) (reply, error) {
	body, err := readBody(r)
	if err != nil {
		return reply{}, errCut
	}
	c := sb.begin(r, body)
	defer sb.end(c)

	sb.mu.Lock()
	f := sb.faults.take(c)
	sb.mu.Unlock()
	if f.Kind == KindDelay {
		if err := wait(r.Context(), f.Delay); err != nil {
			sb.note(c, 0)
			return reply{}, err
		}
	}
	if f.Kind == KindCut {
		sb.note(c, 0)
		return reply{}, errCut
	}
	rep := sb.step(c, f)
	if f.Kind == KindEffectThenTimeout {
		if err := wait(r.Context(), f.Delay); err != nil {
			return reply{}, err
		}
		return reply{}, errCut
	}
	return rep, nil
}

// readBody reads the whole body, so that no caller can hold the lock by sending
// slowly.
func readBody(r *http.Request) ([]byte, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return nil, nil
	}
	return io.ReadAll(io.LimitReader(r.Body, maxBody))
}

// begin gives the call its id and finds its route.
func (sb *Sandbox) begin(r *http.Request, body []byte) *call {
	c := &call{sb: sb, r: r, body: body, query: r.URL.Query(), origin: sb.opt.BaseURL}
	if c.origin == "" {
		c.origin = "http://" + r.Host
		if r.TLS != nil {
			c.origin = "https://" + r.Host
		}
	}
	path := r.URL.EscapedPath()
	found, params, known := sb.routes.find(r.Method, path)
	if found == nil {
		found = unrouted(path, known)
	}
	c.route, c.params = found, params

	sb.mu.Lock()
	defer sb.mu.Unlock()
	c.requestID = sb.ids.secret("request")[:27]
	c.now = sb.now()
	sb.inflight[c.route.vendor.name]++
	return c
}

func (sb *Sandbox) end(c *call) {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	sb.inflight[c.route.vendor.name]--
}

// unrouted stands for a path that no operation has, or that has it under
// another method only.
func unrouted(path string, known bool) *route {
	status := http.StatusNotFound
	if known {
		status = http.StatusMethodNotAllowed
	}
	for _, v := range []*vendor{oktaVendor(), asaVendor(), mosaicVendor()} {
		if strings.HasPrefix(path, v.prefix+"/") {
			return &route{vendor: v, handle: func(c *call) reply { return v.failure(c, status) }}
		}
	}
	return &route{vendor: &vendor{}, handle: func(*call) reply {
		return reply{status: http.StatusNotFound, raw: "no provider below this path\n", rawType: "text/plain; charset=utf-8"}
	}}
}

// step does everything that needs the lock: the call becomes visible to others
// as a whole.
func (sb *Sandbox) step(c *call, f taken) reply {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	c.now = sb.now()
	c.w = sb.faults.view(c, f)
	rep := sb.decide(c, f)
	if f.Kind != KindNoEffect {
		sb.apply(c, f)
	} else {
		c.effects = nil
	}
	if f.Kind == KindEffectThenStatus && rep.status < 400 {
		rep = sb.scripted(c, f)
	}
	sb.dress(c, &rep)
	status := rep.status
	if f.Kind == KindEffectThenTimeout {
		status = 0
	}
	sb.record(c, status)
	return rep
}

// decide finds the answer without changing what the handlers read.
func (sb *Sandbox) decide(c *call, f taken) reply {
	v := c.route.vendor
	if c.route.pattern == "" {
		return c.route.handle(c)
	}
	var refused *reply
	if !c.route.open {
		refused = v.authenticate(c)
	}
	if f.Kind == KindStatus {
		c.rateView = *sb.limits.current(c.route.bucket, c.who.name, c.now)
		return sb.scripted(c, f)
	}
	if v.name == "okta" && sb.inflight["okta"] > sb.oktaConcurrency() {
		return oktaConcurrencyRefusal(c)
	}
	w, ok := sb.limits.take(c.route.bucket, c.who.name, c.now)
	c.rateView = w
	if !ok {
		return v.failure(c, http.StatusTooManyRequests)
	}
	if refused != nil {
		return *refused
	}
	if v.permit != nil && !c.route.open {
		if refused := v.permit(c); refused != nil {
			return *refused
		}
	}
	return c.route.handle(c)
}

// apply makes the effects true. Before the first change of a call that starts a
// stale window, the window keeps the state as it was.
func (sb *Sandbox) apply(c *call, f taken) {
	if len(c.effects) > 0 && f.Kind == KindStale {
		sb.faults.freeze(c, f, sb.live)
	}
	for _, e := range c.effects {
		e.apply()
	}
}

// dress adds the headers that every answer of a vendor has. What a reply or a
// fault has set stays.
func (sb *Sandbox) dress(c *call, rep *reply) {
	h := http.Header{}
	h.Set("Date", c.now.UTC().Format(http.TimeFormat))
	v := c.route.vendor
	if v.rate != nil && c.rateView.limit > 0 {
		v.rate(h, c.rateView, rep.status == http.StatusTooManyRequests)
	}
	if v.name == "okta" {
		h.Set("X-Okta-Request-Id", c.requestID)
	}
	for k, values := range rep.header {
		h[k] = values
	}
	rep.header = h
}

// note journals a call that never reached its operation.
func (sb *Sandbox) note(c *call, status int) {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	c.now = sb.now()
	c.effects = nil
	sb.record(c, status)
}

func (sb *Sandbox) record(c *call, status int) {
	e := Entry{
		Time: c.now, Provider: c.route.vendor.name, Method: c.r.Method, Path: c.r.URL.RequestURI(),
		Route: c.route.pattern, Bucket: c.route.bucket, Principal: c.who.name,
		Status: status, RequestID: c.requestID, Fault: c.faultNote,
	}
	for _, eff := range c.effects {
		e.Effects = append(e.Effects, eff.name)
	}
	sb.book.add(e)
	if sb.opt.Log != nil {
		sb.opt.Log.Debug("sandbox call", "provider", e.Provider, "method", e.Method, "route", e.Route,
			"principal", e.Principal, "status", e.Status, "effects", e.Effects, "fault", e.Fault)
	}
}
