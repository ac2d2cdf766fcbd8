package events

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"unicode/utf8"
)

// appendCanonical writes what parse or object gave, in canonical form.
func appendCanonical(out []byte, tree any) []byte {
	switch v := tree.(type) {
	case map[string]any:
		out = append(out, '{')
		for i, name := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				out = append(out, ',')
			}
			out = append(appendString(out, name), ':')
			out = appendCanonical(out, v[name])
		}
		return append(out, '}')
	case *Object:
		out = append(out, '{')
		first := true
		for name, one := range v.All() {
			if !first {
				out = append(out, ',')
			}
			first = false
			out = appendCanonical(append(appendString(out, name), ':'), one)
		}
		return append(out, '}')
	case []any:
		out = append(out, '[')
		for i, one := range v {
			if i > 0 {
				out = append(out, ',')
			}
			out = appendCanonical(out, one)
		}
		return append(out, ']')
	case string:
		return appendString(out, v)
	case json.Number:
		return append(out, v...)
	case bool:
		if v {
			return append(out, "true"...)
		}
		return append(out, "false"...)
	}
	return append(out, "null"...)
}

// appendString writes a string as encoding/json does, and leaves to it whatever needs an escape.
func appendString(out []byte, s string) []byte {
	if unplain(s, 0) < len(s) {
		quoted, _ := json.Marshal(s) // a string always has a form
		return append(out, quoted...)
	}
	return append(append(append(out, '"'), s...), '"')
}

// plain reports whether a byte of a string stands for itself in canonical form. U+2028 and U+2029 do not: they, and
// what shares their first byte, are looked at by encoding/json.
func plain(c byte) bool {
	return c >= ' ' && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&' && c != 0xE2
}

// isCanonical reports whether data is an object in canonical form. It says no where it would have to look closer
// (upper case in a name, rare escapes): then Canonical parses, and comes to the same bytes. Most data that Keyturn
// reads it wrote itself, and looking at it is far cheaper than parsing it.
func isCanonical(data []byte) bool {
	if len(data) == 0 || data[0] != '{' || !utf8.Valid(data) {
		return false
	}
	r := recognizer{text: data}
	return r.value(0) && r.at == len(data)
}

// recognizer walks over canonical text and stops where it is not.
type recognizer struct {
	text []byte
	at   int
}

// take takes c if it is the next byte.
func (r *recognizer) take(c byte) bool {
	if r.at < len(r.text) && r.text[r.at] == c {
		r.at++
		return true
	}
	return false
}

func (r *recognizer) value(depth int) bool {
	if r.at >= len(r.text) || depth > maxDepth {
		return false
	}
	switch r.text[r.at] {
	case '{':
		return r.object(depth)
	case '[':
		return r.array(depth)
	case '"':
		return r.str()
	case 't':
		return r.word("true")
	case 'f':
		return r.word("false")
	case 'n':
		return r.word("null")
	}
	n := numberLen(r.text[r.at:])
	literal := string(r.text[r.at : r.at+min(n, maxNumberBytes+1)])
	r.at += n
	return n > 0 && tame(literal)
}

func (r *recognizer) object(depth int) bool {
	r.at++
	if r.take('}') {
		return true
	}
	for last := []byte(nil); ; {
		name, ok := r.name()
		// Names that rise and hold no upper case are all different, in any spelling.
		if !ok || last != nil && bytes.Compare(name, last) <= 0 || !r.take(':') || !r.value(depth+1) {
			return false
		}
		if last = name; !r.take(',') {
			return r.take('}')
		}
	}
}

func (r *recognizer) array(depth int) bool {
	r.at++
	if r.take(']') {
		return true
	}
	for {
		if !r.value(depth + 1) {
			return false
		}
		if !r.take(',') {
			return r.take(']')
		}
	}
}

// name takes a name of printable lower-case ASCII without escapes; an empty one is left to the parser.
func (r *recognizer) name() ([]byte, bool) {
	if !r.take('"') {
		return nil, false
	}
	begin := r.at
	for ; r.at < len(r.text) && r.text[r.at] != '"'; r.at++ {
		if c := r.text[r.at]; !plain(c) || c >= utf8.RuneSelf || c <= ' ' || 'A' <= c && c <= 'Z' {
			return nil, false
		}
	}
	name := r.text[begin:r.at]
	return name, len(name) > 0 && r.take('"')
}

// str takes a string; of the escapes it knows those that encoding/json writes for what is common in text.
func (r *recognizer) str() bool {
	for r.at++; ; r.at++ {
		r.at = unplain(r.text, r.at)
		switch {
		case r.at == len(r.text):
			return false
		case r.text[r.at] == '"':
			r.at++
			return true
		case r.text[r.at] != '\\':
			return false
		}
		if r.at++; r.at == len(r.text) || bytes.IndexByte([]byte(`"\nrt`), r.text[r.at]) < 0 {
			return false
		}
	}
}

func (r *recognizer) word(w string) bool {
	if len(r.text)-r.at < len(w) || string(r.text[r.at:r.at+len(w)]) != w {
		return false
	}
	r.at += len(w)
	return true
}
