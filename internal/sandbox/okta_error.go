package sandbox

import (
	"fmt"
	"net/http"
)

// oktaFault is Okta's error object. Clients may act on errorCode only.
type oktaFault struct {
	ErrorCode    string      `json:"errorCode"`
	ErrorSummary string      `json:"errorSummary"`
	ErrorLink    string      `json:"errorLink"`
	ErrorID      string      `json:"errorId"`
	ErrorCauses  []oktaCause `json:"errorCauses"`
}

type oktaCause struct {
	ErrorSummary string `json:"errorSummary"`
}

func oktaError(c *call, status int, code, summary string, causes ...string) reply {
	f := oktaFault{ErrorCode: code, ErrorSummary: summary, ErrorLink: code,
		ErrorID: c.sb.ids.okta("oae"), ErrorCauses: []oktaCause{}}
	for _, s := range causes {
		f.ErrorCauses = append(f.ErrorCauses, oktaCause{s})
	}
	return reply{status: status, body: f}
}

// oktaNotFound is a 404; kind is Okta's name for the type of thing, as its
// answers show it ("User", "PublicClientApp", "OAuth2RefreshTokenTx").
func oktaNotFound(c *call, id, kind string) reply {
	return oktaError(c, http.StatusNotFound, "E0000007", fmt.Sprintf("Not found: Resource not found: %s (%s)", id, kind))
}

func oktaInvalid(c *call, cause string) reply {
	return oktaError(c, http.StatusBadRequest, "E0000001", "Api validation failed", cause)
}

func oktaBadCursor(c *call) reply {
	return oktaError(c, http.StatusBadRequest, "E0000031", "Invalid search criteria.", "Invalid cursor.")
}

// oktaFailure is what Okta says with a status that no operation gave.
func oktaFailure(c *call, status int) reply {
	code, summary := "E0000009", "Internal Server Error"
	switch status {
	case http.StatusBadRequest:
		code, summary = "E0000001", "Api validation failed"
	case http.StatusUnauthorized:
		code, summary = "E0000011", "Invalid token provided"
	case http.StatusForbidden:
		code, summary = "E0000006", "You do not have permission to perform the requested action"
	case http.StatusNotFound:
		code, summary = "E0000008", "The requested path was not found"
	case http.StatusMethodNotAllowed:
		code, summary = "E0000022", "The endpoint does not support the provided HTTP method"
	case http.StatusConflict:
		code, summary = "E0000195", "The request conflicts with another one"
	case http.StatusGone:
		code, summary = "E0000156", "The resource is gone"
	case http.StatusLocked:
		code, summary = "E0000239", "Policies are being reconciled. Try again later."
	case http.StatusTooManyRequests:
		code, summary = "E0000047", "API call exceeded rate limit due to too many requests."
	case http.StatusServiceUnavailable:
		code, summary = "E0000010", "Service is in read only mode"
	case http.StatusGatewayTimeout:
		code, summary = "E0000067", "The gateway timed out"
	}
	return oktaError(c, status, code, summary)
}
