// Package mapping turns a verified delivery of any sender into drafts of events, by expressions that stand in a file.
//
// It is pure: the same delivery gives the same drafts, whenever it is mapped. That is what makes a resend the same
// cases, and a delivery that could not be mapped mappable later. Its contract: an expression that fails is never "no
// match". What cannot be mapped comes out as a fault of its item, and the other items of the delivery are mapped all
// the same. No fault repeats anything of the delivery.
package mapping

import (
	"time"

	"cel.dev/cel-go/common/types/ref"

	"keyturn/internal/events"
	"keyturn/internal/expr"
)

// MaxItems bounds the items of one delivery.
const MaxItems = 5_000

// Mapping is a compiled config.Mapping. It may be used by several goroutines.
type Mapping struct {
	format  string
	keep    events.Shape // nil = all
	redact  [][]string
	split   *program
	when    *program
	of      *program
	rows    map[string]*row
	unknown string
	source  string // unless the expression says another
	vars    []variable
	index   map[string]int // of vars
	headers []string
	queries []string
	proofs  map[string]*program // by their text
}

// program is an expression with the name under which a Trace shows it. A constant needs no evaluation, nor does what
// is nothing but a name, or a way from one.
type program struct {
	*expr.Program
	name     string
	constant ref.Val
	ident    string
	path     *path
}

type variable struct {
	name string
	run  *program
}

// row is what a word of the sender stands for. Rows that are ignored or dead have nothing else.
type row struct {
	event   string // full type
	when    *program
	ids     []*program
	source  *program
	time    *instant
	effect  *instant
	class   *program
	data    value
	ignored bool
	dead    bool
}

// Input is a delivery as expressions see it.
type Input struct {
	Received time.Time
	Body     any               // as Parse gives it
	Header   map[string]string // by lower-case name: those of Headers that came
	Query    map[string]string // by name: those of Queries that came
	Verified map[string]any    // issuer, claims and key
	Trace    Trace             // nil = none
}

// Trace is shown what every expression gave, for a person who writes a mapping. item is -1 before the split.
type Trace func(item int, name, source string, value any, err error)

// Draft is an event as an item gives it: texts, not yet checked. An empty text was not given.
type Draft struct {
	Item        int
	ID          string
	Source      string
	Type        string // full CloudEvents type
	Time        string // RFC 3339
	Class       string
	EffectiveAt string // RFC 3339
	Data        []byte // JSON
}

// Fault is an item that could not be mapped, or with Item -1 the whole delivery.
type Fault struct {
	Item int
	Err  error
}

// Result is what became of the items of a delivery.
type Result struct {
	Drafts  []Draft
	Faults  []Fault
	Items   int
	Unknown int  // items whose word the table does not hold, and which are only counted
	Skipped int  // items that are known to make no event
	Refused bool // an unknown word, which the preset refuses: 400
}

// Headers lists the names of the headers that expressions use, in lower case.
func (m *Mapping) Headers() []string { return m.headers }

// Queries lists the names of the query parameters that expressions use.
func (m *Mapping) Queries() []string { return m.queries }

// Map maps every item of a delivery.
func (m *Mapping) Map(in Input) Result {
	s := newScope(m, in)
	defer s.close()
	items, err := s.items()
	if err != nil {
		return Result{Faults: []Fault{{Item: -1, Err: err}}}
	}
	r := Result{Items: len(items)}
	for i, item := range items {
		s.begin(i, item)
		draft, what, err := s.item1()
		switch {
		case err != nil:
			r.Faults = append(r.Faults, Fault{Item: i, Err: err})
		case what == made:
			draft.Item = i
			r.Drafts = append(r.Drafts, draft)
		case what == skipped:
			r.Skipped++
		case m.unknown == "reject":
			r.Refused = true
		case m.unknown == "dead":
			r.Faults = append(r.Faults, Fault{Item: i, Err: m.of.Fault("gives a word that the table does not hold: add it, or ignore it")})
		default:
			r.Unknown++
		}
	}
	return r
}

// outcome is what became of an item without a fault.
type outcome uint8

const (
	made outcome = iota
	skipped
	unknown
)
