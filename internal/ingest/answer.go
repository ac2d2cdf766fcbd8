package ingest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"strconv"
	"time"
)

// maxProblems bounds the faults of one answer.
const maxProblems = 1000

// answer is what the sender gets.
type answer struct {
	status int
	header map[string]string
	body   any
}

// problem is the body of a refusal (RFC 9457). type is absent, which means that the status says it all.
type problem struct {
	Title  string    `json:"title"`
	Status int       `json:"status"`
	Detail string    `json:"detail,omitempty"`
	Errors []Problem `json:"errors,omitempty"`
}

// accept is 202: everything is stored.
func accept(cases []string, fault string) answer {
	if cases == nil {
		cases = []string{}
	}
	return answer{status: http.StatusAccepted, body: struct {
		Cases []string `json:"cases"`
		Fault string   `json:"fault,omitempty"`
	}{cases, fault}}
}

// accepted is the answer of a source to what it has taken: accept, unless the source says otherwise.
func (s *Source) accepted(cases []string, fault string) answer {
	switch {
	case s.response.Status == 0:
		return accept(cases, fault)
	case s.response.Body == "":
		return answer{status: s.response.Status, body: nothing{}}
	}
	return answer{status: s.response.Status, body: plainText{s.response.Body, s.response.ContentType}}
}

// refuseBody is 400 for a body that cannot be read or that the source refuses, in the form that its sender understands.
func (s *Source) refuseBody(err error) answer {
	if s.sets {
		return s.refusal(&SETError{Code: "invalid_request", Description: err.Error()})
	}
	if faults, ok := errors.AsType[Invalid](err); ok {
		return invalid(faults)
	}
	return refuse(http.StatusBadRequest, err.Error())
}

// nothing is the body of an answer without one.
type nothing struct{}

// plainText is the body of an answer that is not JSON.
type plainText struct{ text, contentType string }

// refuse is a 4xx: the request as it is can never be right.
func refuse(status int, detail string) answer {
	return answer{status: status, body: problem{Title: http.StatusText(status), Status: status, Detail: detail}}
}

// invalid is 400 with every fault. Nothing of the delivery was stored.
func invalid(faults Invalid) answer {
	detail := "nothing was stored: 1 fault"
	if len(faults) != 1 {
		detail = fmt.Sprintf("nothing was stored: %d faults", len(faults))
	}
	p := problem{Title: http.StatusText(http.StatusBadRequest), Status: http.StatusBadRequest, Detail: detail, Errors: faults}
	if len(faults) > maxProblems {
		p.Errors = faults[:maxProblems]
	}
	return answer{status: http.StatusBadRequest, body: p}
}

// unavailable is 503: the same request will be taken later.
func unavailable(wait time.Duration) answer {
	seconds := max(1, int(math.Ceil(wait.Seconds())))
	return refuse(http.StatusServiceUnavailable, "").with("Retry-After", strconv.Itoa(seconds))
}

// with adds a header.
func (a answer) with(name, value string) answer {
	header := map[string]string{name: value}
	maps.Copy(header, a.header)
	a.header = header
	return a
}

func (a answer) write(w http.ResponseWriter) {
	h := w.Header()
	switch body := a.body.(type) {
	case nothing:
	case plainText:
		h.Set("Content-Type", body.contentType)
	case problem:
		h.Set("Content-Type", "application/problem+json")
	default:
		h.Set("Content-Type", "application/json")
	}
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	for name, value := range a.header {
		h.Set(name, value)
	}
	w.WriteHeader(a.status)
	switch body := a.body.(type) {
	case nothing:
		return
	case plainText:
		_, _ = io.WriteString(w, body.text)
		return
	}
	// The line feed that Encode puts at the end is for people at a terminal. A sender that is gone learns nothing: it will
	// repeat.
	_ = json.NewEncoder(w).Encode(a.body)
}
