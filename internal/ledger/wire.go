package ledger

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// written reads a record as seal writes it, member by member: nearly all that is read was written so, and a decision reads
// several. ok is false when anything is another than seal writes, also where it would be right all the same: then
// encoding/json reads it. FuzzWritten holds the two against each other.
func written(data []byte) (r Record, ok bool) {
	w := wire{rest: data, ok: true}
	r.Subject = w.text(`{"subject":`)
	r.State = State(w.text(`,"state":`))
	if at := w.quoted(`,"time":`); w.ok {
		w.ok = r.Time.UnmarshalJSON(at) == nil
	}
	r.By = w.text(`,"by":`)
	r.Attempt = w.optional(`,"attempt":`)
	r.Tries = w.count(`,"tries":`)
	r.Attempts = w.count(`,"attempts":`)
	r.Epoch = uint64(w.count(`,"epoch":`)) //nolint:gosec // a count
	r.Reason = w.optional(`,"reason":`)
	evidence, has := w.member(`,"evidence":`)
	body, hasBody := w.member(`,"body":`)
	r.Prev = w.text(`,"prev":`)
	r.Hash = w.text(`,"hash":`)
	if !w.ok || string(w.rest) != "}" {
		return r, false
	}
	if has && json.Unmarshal(evidence, &r.Evidence) != nil {
		return r, false
	}
	if !hasBody {
		return r, true
	}
	r.Body = bytes.Clone(body)
	return r, json.Valid(body) && body[0] > ' ' && body[len(body)-1] > ' '
}

// wire is what is left to read of a record.
type wire struct {
	rest []byte
	ok   bool // so far it is as seal writes it
}

// text reads a member that is a string.
func (w *wire) text(name string) string {
	quoted := w.quoted(name)
	if !w.ok {
		return ""
	}
	return string(quoted[1 : len(quoted)-1])
}

// optional reads a member that is a string, or is left out.
func (w *wire) optional(name string) string {
	if !bytes.HasPrefix(w.rest, []byte(name)) {
		return ""
	}
	return w.text(name)
}

// quoted reads a member that is a string in which nothing stands for something else, with its quotes.
func (w *wire) quoted(name string) []byte {
	rest, found := bytes.CutPrefix(w.rest, []byte(name+`"`))
	end := bytes.IndexByte(rest, '"')
	if w.ok = w.ok && found && end >= 0 && plain(rest[:end]); !w.ok {
		return nil
	}
	text := w.rest[len(name) : len(name)+end+2]
	w.rest = rest[end+1:]
	return text
}

// plain reports whether text is printable ASCII without an escape.
func plain(text []byte) bool {
	for _, c := range text {
		if c < ' ' || c > '~' || c == '\\' {
			return false
		}
	}
	return true
}

// count reads a member that is a number above zero, or is left out.
func (w *wire) count(name string) int {
	rest, found := bytes.CutPrefix(w.rest, []byte(name))
	if !w.ok || !found {
		return 0
	}
	end := bytes.IndexByte(rest, ',')
	if w.ok = end > 0 && rest[0] >= '1' && rest[0] <= '9'; !w.ok {
		return 0
	}
	n, err := strconv.Atoi(string(rest[:end]))
	w.ok = err == nil
	w.rest = rest[end:]
	return n
}

// tail is how long a record is from its last two members on: of the first record of a subject, and of others.
const (
	tailFirst = len(`,"prev":"","hash":""}`) + hashLength
	tailNext  = tailFirst + hashLength
)

// member reads a member of any form, or nothing when it is left out. What follows it stands at the end of the record, or is the
// body behind evidence: of the two, a record has one, and another is not read here.
func (w *wire) member(name string) (value []byte, has bool) {
	rest, found := bytes.CutPrefix(w.rest, []byte(name))
	if !w.ok || !found {
		return nil, false
	}
	for _, tail := range []int{tailFirst, tailNext} {
		if at := len(rest) - tail; at > 0 && bytes.HasPrefix(rest[at:], []byte(`,"prev":"`)) {
			w.rest = rest[at:]
			return rest[:at], true
		}
	}
	w.ok = false
	return nil, false
}
