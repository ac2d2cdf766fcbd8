package events

import (
	"encoding/json"
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
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		return err
	}
	known := make(map[string]json.RawMessage, len(members))
	for _, name := range memberNames(reflect.TypeOf(v).Elem()) {
		if m, ok := members[name]; ok {
			known[name] = m
			delete(members, name)
		}
	}
	exact, err := json.Marshal(known)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(exact, v); err != nil {
		return err
	}
	*extra = nil
	if len(members) > 0 {
		*extra = members
	}
	return nil
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

// memberNames lists the member names that the json tags of a struct give.
func memberNames(t reflect.Type) []string {
	var names []string
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name != "" && name != "-" {
			names = append(names, name)
		}
	}
	return names
}
