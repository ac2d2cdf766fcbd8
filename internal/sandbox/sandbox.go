package sandbox

import (
	"log/slog"
	"sync"
	"time"
)

// Options configure a sandbox. The zero value is a usable one: a new org with
// three authorization servers and nobody in it, generated credentials, the
// vendors' own rate limits, the real clock.
type Options struct {
	// Seed decides every generated id, secret and key. Sandboxes with one seed
	// have the same credentials.
	Seed uint64
	// Now is the clock of all three providers; nil is time.Now. Only scripted
	// delays wait in real time.
	Now func() time.Time
	// Credentials replaces generated credentials where its fields are set.
	Credentials Credentials
	// Limits replaces single rate limits of [DefaultLimits] by bucket name.
	Limits map[string]Limit
	// JournalSize bounds the journal; 0 keeps every call.
	JournalSize int
	// BaseURL is the origin in links, issuers and audiences, for example
	// "https://acme.example". Empty takes it from each request's Host.
	BaseURL string
	// Log gets one line a call at debug level; nil is silent.
	Log *slog.Logger

	Okta   OktaOptions
	ASA    ASAOptions
	Mosaic MosaicOptions
}

// OktaOptions are choices of the Okta org.
type OktaOptions struct {
	// Concurrency is how many calls the org works on at once before it answers
	// 429 with a limit of 0; 0 is 75, Okta's number for a Workforce org.
	Concurrency int
	// NoAPIAccessManagement answers every authorization-server call with 401
	// E0000015, as orgs without that feature do.
	NoAPIAccessManagement bool
	// RepeatedDeleteOK answers 204, not 404, when a revoked token is deleted
	// again. Okta does not say which.
	RepeatedDeleteOK bool
	// SuspendRevokesTokens makes a suspension revoke the user's refresh tokens.
	// Okta's statements differ over the years.
	SuspendRevokesTokens bool
	// DeactivateNoContent answers a deactivation with 204 as older recordings
	// show, instead of 200 {}.
	DeactivateNoContent bool
}

// ASAOptions are choices of the ASA team.
type ASAOptions struct {
	// Team is the team's name; empty is "acme".
	Team string
	// TokenLife is how long a bearer token lives; 0 is one hour. ASA does not
	// publish it.
	TokenLife time.Duration
	// ListDeleted includes DELETED clients in listings without a state. ASA does
	// not say whether they are there.
	ListDeleted bool
	// RepeatedDeleteOK answers 204, not 404, when a deleted client is deleted
	// again.
	RepeatedDeleteOK bool
}

// MosaicOptions are choices of the Mosaic app.
type MosaicOptions struct {
	// MaskSecrets hides client_secret in every answer but the one that created
	// it. The schema says that reads carry it.
	MaskSecrets bool
}

// world is the state of the three providers. Records are replaced, never
// changed, so that a copy of the maps is a snapshot.
type world struct {
	okta   *oktaState
	asa    *asaState
	mosaic *mosaicState
}

// Sandbox is the three providers. It is safe for concurrent use.
type Sandbox struct {
	opt    Options
	now    func() time.Time
	routes *router

	mu       sync.Mutex // guards all below
	ids      *idSource
	live     world
	limits   *limiter
	book     book
	faults   faultList
	inflight map[string]int // calls being answered, by vendor
	okta     oktaAccess
	asa      asaAccess
	mosaic   mosaicAccess
	creds    Credentials
}

// New returns a sandbox. It panics if a key given in the credentials cannot be
// read.
func New(opt Options) *Sandbox {
	sb := &Sandbox{
		opt:      opt,
		now:      opt.Now,
		ids:      newIDSource(opt.Seed),
		limits:   newLimiter(opt.Limits),
		book:     book{bound: opt.JournalSize},
		inflight: map[string]int{},
		okta:     newOktaAccess(),
		asa:      newASAAccess(),
		mosaic:   newMosaicAccess(),
	}
	if sb.now == nil {
		sb.now = time.Now
	}
	if sb.opt.ASA.Team == "" {
		sb.opt.ASA.Team = "acme"
	}
	sb.live = world{okta: newOktaState(), asa: newASAState(), mosaic: newMosaicState(sb.ids)}
	var routes []*route
	routes = append(routes, oktaRoutes()...)
	routes = append(routes, asaRoutes()...)
	routes = append(routes, mosaicRoutes()...)
	sb.routes = newRouter(routes)
	sb.AddAuthServer("default", "api://default")
	sb.AddAuthServer("Payments", "https://payments.acme.example")
	sb.AddAuthServer("Intranet", "https://intranet.acme.example")
	sb.enrol()
	return sb
}

// SetNow replaces the clock.
func (sb *Sandbox) SetNow(now func() time.Time) {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	sb.now = now
}

// ExpireTokens ends every access token that was issued so far, at all three
// providers. Callers see 401 until they ask for a new one.
func (sb *Sandbox) ExpireTokens() {
	sb.mu.Lock()
	defer sb.mu.Unlock()
	clear(sb.okta.tokens)
	clear(sb.asa.tokens)
	clear(sb.mosaic.tokens)
}
