package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"unicode/utf8"
)

// Extra holds the members of an object that its struct does not name: kept, written back, and open to playbooks.
type Extra map[string]json.RawMessage

// decodeKeeping fills the struct that v points at with the members that its json tags name, spelled exactly so, and
// gives the rest to extra. encoding/json alone would also take "USER" for "user", and could then show another value
// than the one that the schema checked.
func decodeKeeping(data []byte, v any, extra *Extra) error {
	var fields []field
	target := reflect.ValueOf(v).Elem()
	for f := range target.Type().Fields() {
		if name, ok := memberName(f); ok {
			fields = append(fields, field{name, target.FieldByIndex(f.Index).Addr().Interface()})
		}
	}
	return decodeFields(data, extra, fields)
}

// field is a member and what it is read into.
type field struct {
	name string
	into any
}

// decodeFields is decodeKeeping with the members named one by one: for what every event holds several times.
func decodeFields(data []byte, extra *Extra, fields []field) error {
	if string(data) == "null" {
		return nil
	}
	members, err := Split(data)
	if err != nil {
		return err
	}
	for _, f := range fields {
		raw, given := members[f.name]
		if !given {
			continue
		}
		delete(members, f.name)
		if err := decodeInto(f.into, raw); err != nil {
			return within(f.name, err)
		}
	}
	*extra = nil
	if len(members) > 0 {
		*extra = members
	}
	return nil
}

// Split reads the members of a JSON object, their values as they stand: parts of data. Of two of one name the last
// counts. Its errors are Violations.
func Split(data []byte) (map[string]json.RawMessage, error) {
	p := parser{text: data, lax: true}
	return p.split(0)
}

// decodeInto reads one JSON value. What reads itself is not read a first time only to see whether it can be.
func decodeInto(v any, raw []byte) error {
	switch v := v.(type) {
	case json.Unmarshaler:
		return v.UnmarshalJSON(raw)
	case *string:
		if text, ok := plainText(raw); ok {
			*v = text
			return nil
		}
	}
	return json.Unmarshal(raw, v)
}

// plainText is the text of a JSON string as it stands, where no part of it stands for something else: nearly always.
func plainText(raw []byte) (string, bool) {
	if len(raw) < 2 || raw[0] != '"' || raw[len(raw)-1] != '"' {
		return "", false
	}
	text := raw[1 : len(raw)-1]
	for _, c := range text {
		if c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			return "", false
		}
	}
	return string(text), true
}

// within puts the member's name before the field of an error.
func within(name string, err error) error {
	if v, ok := errors.AsType[Violation](err); ok {
		return Violation{Field: "/" + pointerEscape(name) + v.Field, Rule: v.Rule}
	}
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		t.Field = strings.TrimSuffix(name+"."+t.Field, ".")
	}
	return err
}

// encodeKeeping writes the struct v and the members of extra as one object. A member of extra never replaces one of
// the struct.
func encodeKeeping(v any, extra Extra) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil || len(extra) == 0 {
		return data, err
	}
	var known map[string]json.RawMessage
	if err := json.Unmarshal(data, &known); err != nil {
		return nil, fmt.Errorf("encode with extra members: %w", err)
	}
	all := maps.Clone(extra)
	maps.Copy(all, known)
	return json.Marshal(all)
}

// memberName is the member that a field's json tag names.
func memberName(f reflect.StructField) (name string, ok bool) {
	name, _, _ = strings.Cut(f.Tag.Get("json"), ",")
	return name, name != "" && name != "-"
}
