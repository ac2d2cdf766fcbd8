package config

import (
	"encoding/base64"
	"strings"

	"keyturn/internal/secret"
)

// Outcome says who is told over HTTP what becomes of plans, actions and cases, besides those that subscribe to
// outcomes.> at the broker.
type Outcome struct {
	URL    string       `split_words:"true" desc:"address to which every change of a plan, an action or a case is posted, signed; none = nobody"`
	Secret secret.Value `split_words:"true" desc:"secret of its signature as Standard Webhooks writes it: whsec_ and base64 of 24 to 64 bytes; while it is changed the new and the old one, with a space between"`
	Only   string       `split_words:"true" desc:"which changes, comma-separated, as <what>.<state>: case.*,action.dead; none = all"`
}

// Select lists what Only selects; nil = all.
func (o Outcome) Select() []string {
	var list []string
	for pattern := range strings.SplitSeq(o.Only, ",") {
		if pattern = strings.TrimSpace(pattern); pattern != "" {
			list = append(list, pattern)
		}
	}
	return list
}

// outcome checks the settings of the web hook: half of them would tell nobody, or anybody.
func (e *environ) outcome(o Outcome) {
	if o.URL == "" {
		if !o.Secret.IsZero() || o.Only != "" {
			e.fault("KEYTURN_OUTCOME_URL", "is missing: set it, or unset KEYTURN_OUTCOME_SECRET and KEYTURN_OUTCOME_ONLY")
		}
		return
	}
	if wrong := checkReceiver(o.URL); wrong != "" {
		e.fault("KEYTURN_OUTCOME_URL", wrong)
	}
	if !areSecrets(o.Secret.Reveal()) && !e.bad["KEYTURN_OUTCOME_SECRET"] {
		e.fault("KEYTURN_OUTCOME_SECRET", "is missing, or is not whsec_ and base64 of 24 to 64 bytes: make one with `echo whsec_$(openssl rand -base64 32)`")
	}
	for _, pattern := range o.Select() {
		what, state, _ := strings.Cut(pattern, ".")
		if !isWord(what) || !isWord(state) {
			e.fault("KEYTURN_OUTCOME_ONLY", "has an entry that selects nothing: write plan, action or case, a dot and a state, with * for either, such as case.* or action.dead")
		}
	}
}

// areSecrets reports whether s is one secret or several, as Standard Webhooks writes them.
func areSecrets(s string) bool {
	list := strings.Fields(s)
	for _, text := range list {
		raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(text, "whsec_"))
		if err != nil || len(raw) < 24 || len(raw) > 64 {
			return false
		}
	}
	return len(list) > 0
}

// isWord reports whether s is * or a word as states are written.
func isWord(s string) bool {
	return s == "*" || s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_") == ""
}

// checkReceiver says what is wrong with an address to which principals are sent. A token in its query is the
// receiver's affair.
func checkReceiver(s string) string {
	base, _, _ := strings.Cut(s, "?")
	return checkURL(base)
}
