package ingest

import (
	"encoding/base64"
	"time"

	"keyturn/internal/config"
	"keyturn/internal/secret"
)

// basic checks a user and a password (RFC 7617).
type basic struct {
	tokens
	users []string
	first string // what sign sends
}

const authorization = "Authorization"

func newBasic(spec config.Basic) *basic {
	v := &basic{}
	var pairs []secret.Value
	for _, u := range spec.Users {
		v.users = append(v.users, u.Name)
		pairs = append(pairs, secret.New(u.Name+":"+u.Password.Reveal()))
	}
	v.tokens, v.first = newTokens(pairs), pairs[0].Reveal()
	return v
}

func (v *basic) keys() int { return len(v.tokens) }

// Glance does all of the work: nothing of the body is needed.
func (v *basic) Glance(d Delivery) error {
	_, err := v.Verify(d)
	return err
}

// Verify takes the delivery when user and password are one of the configured pairs.
func (v *basic) Verify(d Delivery) (Verified, error) {
	text, ok := single(d.Header, authorization)
	if !ok {
		return Verified{}, errNoToken
	}
	if text, ok = scheme(text, "Basic"); !ok {
		return Verified{}, errNoToken
	}
	pair, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return Verified{}, errNoToken
	}
	key, ok := v.match(string(pair))
	if !ok {
		return Verified{}, errBadToken
	}
	d.say(true, "key", func() string { return "user " + v.users[key] })
	return Verified{Key: key, Whole: true}, nil
}

func (v *basic) sign(d Delivery, _ string, _ time.Time) error {
	d.Header.Set(authorization, "Basic "+base64.StdEncoding.EncodeToString([]byte(v.first)))
	return nil
}
