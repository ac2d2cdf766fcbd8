package ingest

import (
	"fmt"
	"time"

	"keyturn/internal/config"
	"keyturn/internal/events"
)

// bodyToken checks a secret text in every item of the body, once the body was parsed.
type bodyToken struct {
	tokens
	at string
}

func newBodyToken(spec config.BodyToken) *bodyToken {
	return &bodyToken{tokens: newTokens(spec.Values), at: spec.At}
}

func (v *bodyToken) keys() int { return len(v.tokens) }

// Glance refuses nothing: the headers prove nothing.
func (v *bodyToken) Glance(Delivery) error { return nil }

// Verify leaves everything to be proven by the items.
func (v *bodyToken) Verify(d Delivery) (Verified, error) {
	d.say(true, "key", func() string { return "to be found in every item at " + v.at })
	return Verified{Whole: true, Pending: &Pending{At: v.at, tokens: v.tokens}}, nil
}

// Pending is a proof that the items of the body must give. A delivery without it is not to be believed.
type Pending struct {
	At string // a CEL expression over item that gives the text

	tokens tokens
	met    bool
	key    int
}

// Match takes the text of every item of a delivery, in any order. All of them must be one of the tokens, and there must
// be one at least: a delivery without items proves nothing.
func (p *Pending) Match(texts []string) error {
	p.met = false
	if len(texts) == 0 {
		return fmt.Errorf("%w: the body has no item", errNoToken)
	}
	all := true
	for _, text := range texts {
		key, ok := p.tokens.match(text)
		all = all && ok
		p.key = key
	}
	if !all {
		return errBadToken
	}
	p.met = true
	return nil
}

// Forget takes the tokens out of a parsed body, wherever they stand: what is kept of a delivery, shown or mapped holds
// no secret. A member goes, an element becomes nothing.
func (p *Pending) Forget(tree any) {
	switch x := tree.(type) {
	case *events.Object:
		x.Retain(func(m *events.Member) bool {
			if p.holds(m.Value) {
				return false
			}
			p.Forget(m.Value)
			return true
		})
	case []any:
		for i, v := range x {
			if p.holds(v) {
				x[i] = nil
			} else {
				p.Forget(v)
			}
		}
	}
}

// holds reports whether a value is one of the tokens.
func (p *Pending) holds(v any) bool {
	text, isText := v.(string)
	if !isText {
		return false
	}
	_, is := p.tokens.match(text)
	return is
}

// Key is the index of the token of the last item.
func (p *Pending) Key() int { return p.key }

// sign has nothing to add: the sender has written the token into the items.
func (v *bodyToken) sign(Delivery, string, time.Time) error { return nil }
