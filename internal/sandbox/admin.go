package sandbox

import (
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// adminPrefix is where the sandbox's own administration lies.
const adminPrefix = "/_sandbox/"

// isAdmin says whether a request is for the sandbox and not for a provider.
func isAdmin(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, adminPrefix) }

// admin answers the administration. It spends no rate limit and stands in no
// journal:
//
//	GET    /_sandbox/state           [State]
//	GET    /_sandbox/journal         [Journal]; ?since=SEQ, ?provider=NAME
//	DELETE /_sandbox/journal         forgets the calls so far
//	GET    /_sandbox/faults          [FaultState] list
//	POST   /_sandbox/faults          arms a [Fault]; durations as "1.5s"; 201 {"id":…}
//	DELETE /_sandbox/faults          disarms all
//	DELETE /_sandbox/faults/ID       disarms one
//	POST   /_sandbox/expire          ends all access tokens
//
// A POST must be declared as JSON, so that no web page can send one unasked.
func (sb *Sandbox) admin(r *http.Request) reply {
	if r.Method == http.MethodPost {
		if media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); media != "application/json" {
			return adminError(http.StatusUnsupportedMediaType, "send application/json")
		}
	}
	what := strings.TrimPrefix(r.URL.Path, adminPrefix)
	if id, ok := strings.CutPrefix(what, "faults/"); ok && r.Method == http.MethodDelete && id != "" {
		sb.ClearFaults(id)
		return noContent()
	}
	switch r.Method + " " + what {
	case "GET state":
		return reply{status: http.StatusOK, body: sb.Snapshot()}
	case "GET journal":
		return sb.adminJournal(r)
	case "DELETE journal":
		sb.ResetJournal()
		return noContent()
	case "GET faults":
		return reply{status: http.StatusOK, body: sb.Faults()}
	case "POST faults":
		return sb.adminArm(r)
	case "DELETE faults":
		sb.ClearFaults()
		return noContent()
	case "POST expire":
		sb.ExpireTokens()
		return noContent()
	}
	return adminError(http.StatusNotFound, "no such operation of the sandbox")
}

func (sb *Sandbox) serveAdmin(w http.ResponseWriter, r *http.Request) {
	status, header, body := sb.admin(r).encode()
	for k, v := range header {
		w.Header()[k] = v
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // the caller may be gone
}

func adminError(status int, message string) reply {
	return reply{status: status, body: map[string]string{"error": message}}
}

func (sb *Sandbox) adminJournal(r *http.Request) reply {
	since, err := strconv.Atoi(r.URL.Query().Get("since"))
	if err != nil && r.URL.Query().Get("since") != "" {
		return adminError(http.StatusBadRequest, "since: want a number")
	}
	j := sb.JournalSince(since)
	if p := r.URL.Query().Get("provider"); p != "" {
		j = j.Of(p)
	}
	return reply{status: http.StatusOK, body: j}
}

func (sb *Sandbox) adminArm(r *http.Request) reply {
	body, err := readBody(r)
	if err != nil {
		return adminError(http.StatusBadRequest, "unreadable body")
	}
	var f Fault
	if err := json.Unmarshal(body, &f); err != nil {
		return adminError(http.StatusBadRequest, err.Error())
	}
	id, err := sb.Fault(f)
	if err != nil {
		return adminError(http.StatusBadRequest, err.Error())
	}
	return reply{status: http.StatusCreated, body: map[string]string{"id": id}}
}

// faultForm is a Fault in JSON, with durations as Go writes them.
type faultForm struct {
	Method  string      `json:"method,omitempty"`
	Path    string      `json:"path,omitempty"`
	Skip    int         `json:"skip,omitempty"`
	Times   int         `json:"times,omitempty"`
	Kind    string      `json:"kind"`
	Status  int         `json:"status,omitempty"`
	Header  http.Header `json:"header,omitempty"`
	Body    string      `json:"body,omitempty"`
	RetryIn duration    `json:"retry_in,omitempty"`
	Delay   duration    `json:"delay,omitempty"`
	For     duration    `json:"for,omitempty"`
}

// MarshalJSON writes durations as "1.5s".
func (f Fault) MarshalJSON() ([]byte, error) {
	return json.Marshal(faultForm{f.Method, f.Path, f.Skip, f.Times, f.Kind, f.Status, f.Header, f.Body,
		duration(f.RetryIn), duration(f.Delay), duration(f.For)})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (f *Fault) UnmarshalJSON(b []byte) error {
	var in faultForm
	if err := json.Unmarshal(b, &in); err != nil {
		return fmt.Errorf("fault: %w", err)
	}
	*f = Fault{in.Method, in.Path, in.Skip, in.Times, in.Kind, in.Status, in.Header, in.Body,
		time.Duration(in.RetryIn), time.Duration(in.Delay), time.Duration(in.For)}
	return nil
}

// duration is a time.Duration that JSON writes as text.
type duration time.Duration

func (d duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func (d *duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = duration(v)
	return err
}
