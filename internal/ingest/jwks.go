package ingest

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"keyturn/internal/config"
	"keyturn/internal/shield"
)

// Bounds of an issuer's keys. The shortest patience of a sender is three seconds (Okta's event hooks), and RFC 8935
// gives none.
const (
	maxKeySet     = 512 << 10        // bytes of the document
	maxKeys       = 64               // keys of it that are kept
	minRSABits    = 2048             // CAEP Interoperability Profile 1.0, section 2.6
	fetchTimeout  = 2 * time.Second  // of one fetch
	fetchEvery    = 30 * time.Second // at most, whatever happens: forged key ids cause no more
	freshAtLeast  = 5 * time.Minute
	freshByItself = time.Hour // when the answer does not say
	freshAtMost   = 24 * time.Hour
	staleAtMost   = 24 * time.Hour  // beyond that, when the issuer cannot be reached
	rereadEvery   = 5 * time.Second // of a file that has not changed and holds no keys
	maxWaiting    = 16              // callers that wait for one fetch; the others are told to come again
)

// Why there is no key.
var (
	errUnknownKey = errors.New("key of the token is not the issuer's")
	errNoKeys     = errors.New("keys of the issuer cannot be had")
)

// keySet is the keys of one issuer, from an address or a file. An address is asked when its keys are no longer fresh or
// a key is asked for that is not among them, by one caller at a time and never more often than fetchEvery; while it
// cannot be reached, the keys that were had stay good for a day. A file is read again when it has changed, and one that holds no
// keys, or cannot be read, every rereadEvery too: not for each delivery that comes meanwhile.
type keySet struct {
	from   string
	client *http.Client // nil for a file
	now    func() time.Time

	mu      sync.Mutex
	keys    []jose.JSONWebKey
	had     bool          // keys were had once
	fresh   time.Time     // until then the keys need not be asked for
	stale   time.Time     // until then they may be used all the same
	tried   time.Time     // last fetch
	pending chan struct{} // closed when the fetch that is under way has ended; nil = none is
	waiting int           // for it
	seen    fileMark
	poor    time.Time // when the file that was seen turned out to hold no keys; zero = it holds some
}

// fileMark tells whether a file has changed.
type fileMark struct {
	size int64
	time time.Time
}

func newKeySet(from string) *keySet {
	s := &keySet{from: from, now: time.Now}
	if strings.Contains(from, "://") {
		s.client = outgoing(fetchTimeout)
	}
	return s
}

// find gives the keys of that id, all of them when the token has none. The error is errUnknownKey when the issuer's
// present keys are known and none has the id, and errNoKeys when that cannot be told now.
func (s *keySet) find(id string) ([]jose.JSONWebKey, error) {
	if s.client == nil {
		s.reread()
	}
	keys, known, wait := s.look(id)
	if wait != nil {
		<-wait
		keys, known = s.settled(id)
	}
	switch {
	case len(keys) > 0:
		return keys, nil
	case known:
		return nil, errUnknownKey
	}
	return nil, errNoKeys
}

// look gives the keys as they are, and fetches first when it is this caller's turn. wait is not nil when somebody else
// is fetching what this caller needs.
func (s *keySet) look(id string) (keys []jose.JSONWebKey, known bool, wait chan struct{}) {
	s.mu.Lock()
	now := s.now()
	keys = s.match(id, now)
	if s.client == nil {
		defer s.mu.Unlock()
		return keys, s.had, nil
	}
	if len(keys) > 0 && now.Before(s.fresh) {
		s.mu.Unlock()
		return keys, true, nil
	}
	if s.pending != nil {
		defer s.mu.Unlock()
		if len(keys) > 0 {
			return keys, true, nil // good enough while the others are being fetched
		}
		if s.waiting++; s.waiting > maxWaiting {
			return nil, false, nil
		}
		return nil, false, s.pending
	}
	if !s.tried.IsZero() && now.Sub(s.tried) < fetchEvery {
		defer s.mu.Unlock()
		return keys, false, nil
	}
	s.tried, s.pending = now, make(chan struct{})
	s.mu.Unlock()
	var got []jose.JSONWebKey
	var until time.Time
	var err error
	met := shield.Run(func() { got, until, err = s.fetch() })
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.pending)
	s.pending, s.waiting = nil, 0
	if met != nil {
		panic(met) // the caller's own; whoever waits must not wait for ever
	}
	if err == nil {
		s.keys, s.had, s.fresh, s.stale = got, true, until, until.Add(staleAtMost)
	}
	return s.match(id, s.now()), err == nil, nil
}

// settled gives the keys after somebody else has fetched them.
func (s *keySet) settled(id string) ([]jose.JSONWebKey, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	return s.match(id, now), now.Before(s.fresh)
}

// match gives the usable keys of that id.
func (s *keySet) match(id string, now time.Time) []jose.JSONWebKey {
	if s.client != nil && !now.Before(s.stale) {
		return nil
	}
	if id == "" {
		return s.keys
	}
	var keys []jose.JSONWebKey
	for _, k := range s.keys {
		if k.KeyID == id {
			keys = append(keys, k)
		}
	}
	return keys
}

// fetch asks the address for the keys, and tells until when they are fresh.
func (s *keySet) fetch() ([]jose.JSONWebKey, time.Time, error) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.from, nil)
	if err != nil {
		return nil, time.Time{}, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, time.Time{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, time.Time{}, fmt.Errorf("keys: status %d", resp.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxKeySet+1))
	if err != nil {
		return nil, time.Time{}, err
	}
	keys, err := parseKeys(b)
	return keys, s.now().Add(freshness(resp.Header.Get("Cache-Control"))), err
}

// freshness reads max-age (RFC 9111, section 5.2.2.1), within what is sensible for keys.
func freshness(cacheControl string) time.Duration {
	for directive := range strings.SplitSeq(cacheControl, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			return freshAtLeast
		case "max-age":
			if n, err := strconv.Atoi(strings.Trim(value, `"`)); err == nil && n >= 0 && n < 1<<31 {
				return min(max(time.Duration(n)*time.Second, freshAtLeast), freshAtMost)
			}
		}
	}
	return freshByItself
}

// reread reads the file when it has changed. What cannot be read leaves the keys as they were.
func (s *keySet) reread() {
	s.mu.Lock()
	defer s.mu.Unlock()
	info, err := os.Stat(s.from)
	if err != nil {
		return
	}
	mark := fileMark{info.Size(), info.ModTime()}
	now := s.now()
	if mark == s.seen && (s.poor.IsZero() || now.Sub(s.poor) < rereadEvery) || mark.size > maxKeySet {
		return
	}
	s.seen, s.poor = mark, now
	b, err := config.ReadFile(s.from)
	if err != nil {
		return
	}
	if keys, err := parseKeys(b); err == nil {
		s.keys, s.had, s.poor = keys, true, time.Time{}
	}
}

// parseKeys reads a JWK Set (RFC 7517, section 5) key by key: one of a kind that nobody here knows spoils none of the
// others.
func parseKeys(b []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if len(b) > maxKeySet {
		return nil, errors.New("keys: document too large")
	}
	if err := json.Unmarshal(b, &set); err != nil || set.Keys == nil {
		return nil, errors.New("keys: not a JWK Set")
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var k jose.JSONWebKey
		if k.UnmarshalJSON(raw) == nil && usable(k) && len(keys) < maxKeys {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("keys: none that can be used")
	}
	return keys, nil
}

// usable takes public keys for signatures of known kinds and sufficient size.
func usable(k jose.JSONWebKey) bool {
	if !k.Valid() || k.Use != "" && k.Use != "sig" {
		return false
	}
	switch key := k.Key.(type) {
	case *rsa.PublicKey:
		return key.N.BitLen() >= minRSABits && key.N.BitLen() <= 8192
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return true
	}
	return false
}

// signs reports whether a key is for an algorithm.
func signs(k jose.JSONWebKey, alg string) bool {
	if k.Algorithm != "" && k.Algorithm != alg {
		return false
	}
	switch k.Key.(type) {
	case *rsa.PublicKey:
		return slices.Contains([]string{"RS", "PS"}, alg[:2])
	case *ecdsa.PublicKey:
		return alg[:2] == "ES"
	}
	return alg == string(jose.EdDSA)
}
