package ingest

import (
	strict "github.com/go-jose/go-jose/v4/json"
)

// The event by which a transmitter shows that its stream works (SSF 1.0, section 8.1.4.2), and what Google's RISC calls
// it.
const (
	ssfVerificationEvent  = "https://schemas.openid.net/secevent/ssf/event-type/verification"
	riscVerificationEvent = "https://schemas.openid.net/secevent/risc/event-type/verification"
)

// ssfVerification reports whether the claims of a token are a verification event, and nothing else, and gives the state
// that whoever asked for it chose; empty when there is none.
func ssfVerification(claims []byte) (state string, ok bool) {
	var set struct {
		Events map[string]struct {
			State string `json:"state"`
		} `json:"events"`
	}
	if err := strict.Unmarshal(claims, &set); err != nil || len(set.Events) != 1 {
		return "", false
	}
	for _, name := range []string{ssfVerificationEvent, riscVerificationEvent} {
		if e, ok := set.Events[name]; ok {
			return e.State, true
		}
	}
	return "", false
}
