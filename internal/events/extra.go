package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
)

// Extra holds the members of an object that its struct does not name: kept, written back, and open to playbooks.
type Extra map[string]json.RawMessage

// decodeKeeping fills the struct that v points at with the members that its json tags name, spelled exactly so, and
// gives the rest to extra. encoding/json alone would also take "USER" for "user", and could then show another value
// than the one that the schema checked.
func decodeKeeping(data []byte, v any, extra *Extra) error {
	if string(data) == "null" {
		return nil
	}
	p := parser{text: data, lax: true}
	members, err := p.split()
	if err != nil {
		return err
	}
	target := reflect.ValueOf(v).Elem()
	for f := range target.Type().Fields() {
		name, ok := memberName(f)
		raw, given := members[name]
		if !ok || !given {
			continue
		}
		delete(members, name)
		if err := decodeInto(target.FieldByIndex(f.Index).Addr().Interface(), raw); err != nil {
			return within(name, err)
		}
	}
	*extra = nil
	if len(members) > 0 {
		*extra = members
	}
	return nil
}

// decodeInto reads one JSON value. What reads itself is not read a first time only to see whether it can be.
func decodeInto(v any, raw []byte) error {
	if u, ok := v.(json.Unmarshaler); ok {
		return u.UnmarshalJSON(raw)
	}
	return json.Unmarshal(raw, v)
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
