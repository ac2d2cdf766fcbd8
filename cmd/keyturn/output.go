package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/term"

	"keyturn/internal/ledger"
)

// print answers with v as JSON, or with what text draws. Nothing is written when drawing fails half-way.
func (a *app) print(v any, text func(s *screen)) error {
	var b bytes.Buffer
	if a.asJSON {
		enc := json.NewEncoder(&b)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		if err := enc.Encode(v); err != nil {
			return fmt.Errorf("encode answer: %w", err)
		}
	} else {
		text(a.screen(&b))
	}
	if _, err := a.out.Write(escaped(b.Bytes())); err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	return nil
}

// screen prepares a text answer.
func (a *app) screen(b *bytes.Buffer) *screen {
	return &screen{Buffer: b, now: a.now(), zone: a.zone, colour: coloured(a.out)}
}

// coloured reports whether w is a terminal whose owner has nothing against colours (no-color.org).
func coloured(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
}

// screen is a text answer in the making. Whatever it is given is cleaned: text of senders and providers must not
// drive a terminal.
type screen struct {
	*bytes.Buffer
	now    time.Time
	zone   *time.Location
	colour bool
}

// painted is text that may hold colours.
type painted string

// The colours. All have the same length, so that a column of them keeps its width.
const (
	plain  = "\x1b[39m"
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	reset  = "\x1b[0m"
)

// paint gives the text its colour, if there are any.
func (s *screen) paint(colour, text string) painted {
	if !s.colour {
		return painted(clean(text))
	}
	return painted(colour + clean(text) + reset)
}

// state paints a state by what it asks of the reader.
func (s *screen) state(st ledger.State) painted { return s.paint(colourOf(st), string(st)) }

// colourOf is red for what asks for a person, yellow for patience, green for nothing.
func colourOf(st ledger.State) string {
	switch st {
	case ledger.Dead, ledger.Contested, ledger.NeedsPerson, ledger.Conflict, ledger.Regressed:
		return red
	case ledger.Waiting, ledger.Held, ledger.Scheduled, ledger.ClosedWithResidual, ledger.Refused:
		return yellow
	case ledger.Verified, ledger.Applied, ledger.Closed:
		return green
	}
	return plain
}

// labelWidth is the width of the words on the left.
const labelWidth = 10

// line writes "label  text".
func (s *screen) line(label, format string, args ...any) {
	s.indented("", label, format, args...)
}

// indented writes a line further to the right.
func (s *screen) indented(indent, label, format string, args ...any) {
	for i, arg := range args {
		if text, ok := arg.(string); ok {
			args[i] = clean(text)
		}
	}
	text := fmt.Sprintf("%s%-*s %s", indent, labelWidth, label, fmt.Sprintf(format, args...))
	s.WriteString(strings.TrimRight(text, " ") + "\n")
}

// table writes rows under a header, in columns. A cell is a string or painted.
func (s *screen) table(header []string, rows [][]any) {
	w := tabwriter.NewWriter(s, 0, 0, 2, ' ', 0)
	head := make([]any, len(header))
	for i, h := range header {
		head[i] = h
		if len(rows) > 0 {
			if _, ok := rows[0][i].(painted); ok {
				head[i] = s.paint(plain, h)
			}
		}
	}
	for _, row := range append([][]any{head}, rows...) {
		cells := make([]string, len(row))
		for i, c := range row {
			switch c := c.(type) {
			case painted:
				cells[i] = string(c)
			default:
				cells[i] = clean(fmt.Sprint(c))
			}
		}
		_, _ = fmt.Fprintln(w, strings.Join(cells, "\t")) // into memory: cannot fail
	}
	_ = w.Flush()
}

// clean replaces what a terminal would obey: control characters, and those that turn the writing direction. It is one line
// then: text of senders and providers must not make lines that look like ours.
func clean(text string) string { return strings.ReplaceAll(cleanLines(text), "\n", " ") }

// escaped writes JSON so that no terminal obeys it: what is neither ASCII nor printable as \u and four digits, which says
// the same (RFC 8259, section 7).
func escaped(text []byte) []byte {
	odd := func(r rune) bool { return r >= unicode.MaxASCII && !unicode.IsPrint(r) }
	if !bytes.ContainsFunc(text, odd) {
		return text
	}
	var b []byte
	for _, r := range string(text) {
		switch {
		case !odd(r):
			b = utf8.AppendRune(b, r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			b = fmt.Appendf(b, `\u%04x\u%04x`, high, low)
		default:
			b = fmt.Appendf(b, `\u%04x`, r)
		}
	}
	return b
}

// cleanLines is clean for text that has lines of our own making, such as all faults of a configuration.
func cleanLines(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', unicode.IsPrint(r):
			return r
		case unicode.IsSpace(r):
			return ' '
		}
		return unicode.ReplacementChar
	}, text)
}
