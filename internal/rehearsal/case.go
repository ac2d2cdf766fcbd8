// Package rehearsal plays a delivery through a source as it is configured, and writes down what comes of it: the
// answer, the events, and what could not be mapped. It is how presets are tested, and how an operator tests a mapping
// before anything depends on it. Nothing is stored, and nobody is called.
//
// A case is a text that a person can read: an HTTP request, and behind it what it gives.
//
//	POST /hooks/hr
//	Content-Type: application/json
//
//	{"type": "employee.terminated"}
//	-- answer --
//	202 application/json
//	{"cases":["a2yxz…"]}
//	-- events --
//	{ … }
//
// Before the answer there may be the sections `-- at --` with the time of the delivery (RFC 3339; DefaultTime without
// it) and `-- unsigned --` with nothing, for a request that goes out as it stands. Any other is signed as its sender
// would sign it, by the first secret of the source; of a source of security event tokens the body is the claims, and goes
// out as a token. Where the text refers to a secret, ${env:NAME}, it goes out with the
// sample secret of that name, which is also what the sources of the suite have.
package rehearsal

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"strings"
	"time"
)

// DefaultTime is when a delivery comes, unless its case says otherwise.
const DefaultTime = "2026-11-22T12:00:00Z"

// Case is a delivery and what it is to give.
type Case struct {
	Method   string
	Path     string // with the query
	Header   http.Header
	Body     []byte
	At       time.Time
	Unsigned bool

	input string // the text up to what it gives
	want  string // what it is to give
}

// The sections of a case.
const (
	sectionAt       = "at"
	sectionUnsigned = "unsigned"
	sectionAnswer   = "answer"
	sectionCounted  = "counted"
	sectionEvents   = "events"
	sectionFault    = "fault"
)

// Parse reads a case. The body ends before the line feed that stands before the first section.
func Parse(text string) (Case, error) {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	request, rest := cut(text)
	c := Case{input: text[:len(text)-len(rest)]}
	if err := c.request(request); err != nil {
		return c, err
	}
	at := DefaultTime
	for rest != "" {
		name, body, _ := strings.Cut(strings.TrimPrefix(rest, marker), " --\n")
		content, next := cut(body)
		switch name {
		case sectionAt:
			at = strings.TrimSpace(content)
		case sectionUnsigned:
			c.Unsigned = true
		case sectionAnswer, sectionCounted, sectionEvents, sectionFault:
			c.want, next = rest, ""
		default:
			return c, fmt.Errorf("case: no section is called %q: there are at, unsigned, answer, counted, events and fault", name)
		}
		if c.want == "" {
			c.input = text[:len(text)-len(next)]
		}
		rest = next
	}
	var err error
	if c.At, err = time.Parse(time.RFC3339, at); err != nil {
		return c, errors.New("case: the section at needs a time, such as " + DefaultTime)
	}
	return c, nil
}

const marker = "-- "

// cut divides a text before the next section.
func cut(text string) (before, from string) {
	for i := 0; i < len(text); {
		line, _, _ := strings.Cut(text[i:], "\n")
		if strings.HasPrefix(line, marker) && strings.HasSuffix(line, " --") {
			return text[:i], text[i:]
		}
		i += len(line) + 1
	}
	return text, ""
}

// request reads the request line, the headers and the body.
func (c *Case) request(text string) error {
	line, rest, _ := strings.Cut(text, "\n")
	words := strings.Fields(line)
	if len(words) < 2 || !strings.HasPrefix(words[1], "/") {
		return errors.New("case: begin with a method and a path, such as POST /hooks/hr")
	}
	c.Method, c.Path = words[0], words[1]
	head, body, _ := strings.Cut("\n"+rest, "\n\n")
	header, err := textproto.NewReader(bufio.NewReader(strings.NewReader(strings.TrimPrefix(head, "\n") + "\n\n"))).ReadMIMEHeader()
	if err != nil {
		return fmt.Errorf("case: the headers cannot be read: %w", err)
	}
	c.Header = http.Header(header)
	c.Body = bytes.TrimSuffix([]byte(body), []byte("\n"))
	return nil
}

// Name is the source that the case is for.
func (c Case) Name() string {
	name, _ := strings.CutPrefix(c.Path, "/hooks/")
	return strings.FieldsFunc(name+"/", func(r rune) bool { return r == '/' || r == '?' })[0]
}
