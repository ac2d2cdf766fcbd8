package ingest

import (
	"errors"
	"net/http"
)

// SETError is the refusal of a security event token, as RFC 8935, section 2.3, wants it.
type SETError struct {
	Code        string `json:"err"` // of RFC 8935, section 2.4
	Description string `json:"description"`
}

// Error is the description, which the sender is shown.
func (e *SETError) Error() string { return e.Description }

// refusal is what a sender is told whose delivery was not believed: nothing but that, except that a transmitter of
// security event tokens learns which of them it was.
func (s *Source) refusal(err error) answer {
	if errors.Is(err, errNoKeys) {
		return unavailable(retryAfter) // the next attempt may find the issuer's keys
	}
	if !s.sets {
		a := refuse(http.StatusUnauthorized, "")
		if s.challenge != "" {
			a = a.with("WWW-Authenticate", s.challenge)
		}
		return a
	}
	return answer{status: http.StatusBadRequest, body: setError(err)}.with("Content-Language", "en")
}

// setError gives the code of a refusal.
func setError(err error) *SETError {
	if e, ok := errors.AsType[*SETError](err); ok {
		return e
	}
	code := "authentication_failed"
	for _, row := range []struct {
		code string
		errs []error
	}{
		{"invalid_issuer", []error{errIssuer}},
		{"invalid_audience", []error{errAudience}},
		{"invalid_key", []error{errUnknownKey}},
		{"invalid_state", []error{errState}},
		{"invalid_request", []error{errMalformed, errClaims, errTime}},
	} {
		for _, e := range row.errs {
			if errors.Is(err, e) {
				code = row.code
			}
		}
	}
	return &SETError{Code: code, Description: err.Error()}
}

// challenge is what a refusal asks for (RFC 9110, section 11.6.1). Some clients give a password only when they are asked.
func challenge(spec VerifySpec) string {
	switch {
	case spec.Uses("basic"):
		return `Basic realm="keyturn", charset="UTF-8"`
	case spec.Uses("oidc_bearer"):
		return "Bearer"
	}
	return ""
}

// takesSET reports whether a delivery of this source is a security event token.
func takesSET(spec VerifySpec) bool {
	for _, v := range spec.AllOf {
		if takesSET(v) {
			return true
		}
	}
	return spec.SetJWS != nil
}
