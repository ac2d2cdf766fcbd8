package reads

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/apiclient/okta"
)

// Result is what became of trying one operation.
type Result string

// The results.
const (
	Works    Result = "ok"
	Refused  Result = "denied"        // the credential, or its rights, do not allow it
	None     Result = "not_available" // this tenant has no such feature
	Missing  Result = "missing"       // the configuration does not ask for the right
	Untried  Result = "untried"       // it would change something, or there was nothing to try it with
	Broken   Result = "failed"        // no answer, or none that can be read
	HeldBack Result = "later"         // the budget is spent, or the provider wants to be left alone
)

// How long a check may take: one operation, and all of them together.
const (
	tryTime   = 30 * time.Second
	checkTime = 90 * time.Second
)

// Operation is one operation of a provider, tried or not.
type Operation struct {
	Op        string `json:"operation"`
	Needs     string `json:"needs,omitempty"` // scope, role or permission
	Result    Result `json:"result"`
	Status    int    `json:"status,omitempty"`     // HTTP status; 0 when there was no reply
	RequestID string `json:"request_id,omitempty"` // the provider's id of the call, for its support
	Note      string `json:"note,omitempty"`
	Fix       string `json:"fix,omitempty"` // what a person can do, when it does not work
}

// Wrong reports whether the operation does not work and should.
func (o Operation) Wrong() bool {
	return o.Result == Refused || o.Result == Missing || o.Result == Broken
}

// Bucket is what the lane knows of one of the provider's rate buckets.
type Bucket struct {
	Name    string    `json:"bucket"`
	Limit   int       `json:"limit,omitempty"` // calls a window; 0 when the provider does not say
	Left    int       `json:"left,omitempty"`  // calls left in the window
	Resets  time.Time `json:"resets,omitzero"` // when the window ends
	Paused  time.Time `json:"paused_until,omitzero"`
	Flying  int       `json:"in_flight,omitempty"`
	Unknown bool      `json:"unknown,omitempty"` // nothing was seen in this window
}

// Report is how a connection stands.
type Report struct {
	Connection string      `json:"connection"`
	Provider   string      `json:"provider,omitempty"`
	BaseURL    string      `json:"base_url,omitempty"`
	Credential string      `json:"credential,omitempty"` // its kind, as connections.yaml names it
	Worker     string      `json:"worker,omitempty"`     // who holds the lane
	Epoch      uint64      `json:"epoch,omitempty"`      // of its lease
	Breaker    string      `json:"breaker,omitempty"`    // why it is open; empty = closed
	AtOnce     int         `json:"calls_at_once,omitempty"`
	Operations []Operation `json:"operations,omitempty"`
	Buckets    []Bucket    `json:"buckets,omitempty"`
	Problems   []string    `json:"problems,omitempty"` // what is wrong, and what to do
	OK         bool        `json:"ok"`
}

// Judge fills Problems and OK from the rest.
func (r *Report) Judge() {
	if r.Breaker != "" {
		r.Problems = append(r.Problems, "the breaker is open, nothing is worked on: "+r.Breaker)
	}
	// What is wrong for one reason with many operations is one problem.
	alike := map[Operation][]string{}
	var order []Operation
	for _, o := range r.Operations {
		if why := (Operation{Result: o.Result, Note: o.Note, Fix: o.Fix}); o.Wrong() {
			if alike[why] == nil {
				order = append(order, why)
			}
			alike[why] = append(alike[why], o.Op)
		}
	}
	for _, why := range order {
		text := strings.ReplaceAll(string(why.Result), "_", " ") + ": " + strings.Join(alike[why], ", ")
		for _, more := range []string{why.Note, why.Fix} {
			if more != "" {
				text += ". " + more
			}
		}
		r.Problems = append(r.Problems, text)
	}
	r.OK = len(r.Problems) == 0
}

// Rights are what the configuration says of a credential.
type Rights struct {
	Kind   string   // the key below auth: "service_app"
	Scopes []string // that it asks for; nil where there are none to ask for
	Admins bool     // the playbooks need to know who is an administrator
}

// Check tries every GET operation of a connection, one after the other, with whatever it finds there, and says of the
// others what they need. The clients should have fetched no token yet, so that the credential itself is tried too.
func Check(ctx context.Context, c Clients, rights Rights) []Operation {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	t := &trial{rights: rights, seen: map[string]apiclient.Exchange{}}
	ctx = apiclient.Watch(ctx, t.watch)
	switch {
	case c.Okta != nil:
		checkOkta(ctx, t, c.Okta)
	case c.ASA != nil:
		checkASA(ctx, t, c.ASA)
	case c.Transmit != nil:
		checkTransmit(ctx, t, c.Transmit)
	}
	return t.done
}

// trial is one check under way.
type trial struct {
	rights  Rights
	tokenOp string // how the client names the fetch of a token; empty where there is none
	tokenIs string // what refuses a token: what to do about it
	dead    bool   // there is no token: nothing else can be tried
	done    []Operation

	mu   sync.Mutex
	seen map[string]apiclient.Exchange // the last of each operation
}

func (t *trial) watch(x apiclient.Exchange) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen[x.Op] = x
}

func (t *trial) exchange(op string) (apiclient.Exchange, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	x, ok := t.seen[op]
	return x, ok
}

// try runs one operation. unfit says why it cannot be tried; empty = it can. made says that it is asked about an id
// that nobody has, so that 404 shows that it is allowed.
func (t *trial) try(ctx context.Context, o Operation, unfit string, made bool, run func(context.Context) error) {
	switch {
	case t.dead:
		unfit = "there is no token"
	case unfit == "":
		t.run(ctx, o, made, run)
		return
	}
	o.Result, o.Note, o.Fix = Untried, unfit, ""
	t.done = append(t.done, o)
}

// run makes the call.
func (t *trial) run(ctx context.Context, o Operation, made bool, run func(context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	err := run(ctx)
	e, _ := errors.AsType[*apiclient.Error](err)
	t.token(e)
	if t.dead {
		o.Result, o.Note, o.Fix = Untried, "there is no token", ""
		t.done = append(t.done, o)
		return
	}
	if x, ok := t.exchange(o.Op); ok {
		o.Status, o.RequestID = x.Status, x.RequestID
	}
	o.Result, o.Note = resultOf(err, e, o, made)
	if !o.Wrong() {
		o.Fix = ""
	} else if o.Result == Broken {
		o.Fix = "Check base_url, and that this worker reaches it (DNS, proxy, TLS)"
	}
	t.done = append(t.done, o)
}

// resultOf says what the outcome of a call means for its operation.
func resultOf(err error, e *apiclient.Error, o Operation, made bool) (Result, string) {
	switch {
	case err == nil:
		return Works, o.Note
	case errors.Is(err, okta.ErrNoAuthServers):
		return None, "the org has no API Access Management (E0000015)"
	case e == nil:
		return Broken, err.Error()
	case made && e.Status == http.StatusNotFound:
		return Works, "allowed: 404 about an id that nobody has"
	case e.Status == http.StatusUnauthorized, e.Status == http.StatusForbidden, e.Cause == apiclient.Denied:
		return Refused, reason(e)
	case e.Cause == apiclient.Later:
		return HeldBack, fmt.Sprintf("the budget is spent; again in %s", max(e.RetryAfter, time.Second).Round(time.Second))
	}
	return Broken, reason(e)
}

// reason is what an error says beside its operation, status and request id, which stand in columns of their own.
func reason(e *apiclient.Error) string {
	text := e.Code
	if e.Err != nil {
		text = strings.TrimSpace(text + " " + e.Err.Error())
	}
	return cmp.Or(text, e.Cause.String())
}

// token notes once what became of the token: before the first operation, for it comes first.
func (t *trial) token(e *apiclient.Error) {
	if t.tokenOp == "" || slices.ContainsFunc(t.done, func(o Operation) bool { return o.Op == t.tokenOp }) {
		return
	}
	o := Operation{Op: t.tokenOp, Needs: "auth." + t.rights.Kind, Result: Works}
	x, asked := t.exchange(t.tokenOp)
	o.Status, o.RequestID = x.Status, x.RequestID
	if e != nil && e.Op == t.tokenOp {
		t.dead = true
		o.Result, o.Note = resultOf(e, e, o, false)
		o.Fix = t.tokenIs
		if o.Result == Broken {
			o.Fix = "Check the address of the token endpoint, and that this worker reaches it (DNS, proxy, TLS)"
		}
	} else if !asked {
		o.Result, o.Note = Untried, "a token in hand was used"
	}
	t.done = append(t.done, o)
}

// change notes operations that change something: they are never tried.
func (t *trial) change(needs, note string, ops ...string) {
	for _, op := range ops {
		t.done = append(t.done, Operation{Op: op, Needs: needs, Result: Untried, Note: note})
	}
}
