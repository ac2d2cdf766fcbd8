package playbook

import (
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	"keyturn/internal/config"
)

// fits reports a value that a parameter of a kind can never take, as far as the file tells. What is null counts as not
// given.
func (p Parameter) fits(env *environment, given config.Value, v value) config.Faults {
	if p.Form == "" || v.null() {
		return nil
	}
	if form := formOf(v); form != p.Form {
		if form == "" {
			return nil
		}
		return config.Faults{{Position: given.At, What: "is " + string(form) + ", where " + string(p.Form) + " is wanted"}}
	}
	if p.Fields != nil {
		return p.members(env, given, v)
	}
	word, literal := v.literal.(string)
	if literal && len(p.Words) > 0 && !slices.Contains(p.Words, word) {
		return config.Faults{{Position: given.At, What: "is none of the possible values" + config.Suggest(word, p.Words)}}
	}
	return nil
}

// members reports a mapping that has what the parameter does not, or nothing of what it has: nobody would ever read it.
func (p Parameter) members(env *environment, given config.Value, v value) config.Faults {
	var names []string
	for _, f := range p.Fields {
		names = append(names, f.Name)
	}
	if v.expr != nil {
		return p.structure(env, given, v.expr, names)
	}
	var faults config.Faults
	some := false
	for _, member := range given.Map {
		i := slices.Index(names, member.Name)
		if i < 0 {
			faults = append(faults, config.Fault{Position: member.At, What: "nothing of " + p.Name + " is called so" + config.Suggest(member.Name, names)})
			continue
		}
		some = some || !v.fields[member.Name].null()
		faults = append(faults, p.Fields[i].fits(env, member.Value, v.fields[member.Name])...)
	}
	if !some && faults == nil {
		faults = config.Faults{{Position: given.At, What: "is empty: give one of " + strings.Join(names, ", ")}}
	}
	return faults
}

// structure reports an expression whose type has nothing of what the parameter has: the whole of an event's data in the
// place of the person in it.
func (p Parameter) structure(env *environment, given config.Value, x *program, names []string) config.Faults {
	types := env.env.CELTypeProvider()
	has, known := types.FindStructFieldNames(x.Type.TypeName())
	if !known || slices.ContainsFunc(has, func(name string) bool { return slices.Contains(names, name) }) {
		return nil
	}
	write := "give what has one"
	if slices.Contains(has, p.Name) {
		write = "write ${{ " + x.Source() + "." + p.Name + " }}"
	}
	return config.Faults{{Position: given.At, What: "has none of " + strings.Join(names, ", ") + ": " + write}}
}

// null reports a value that counts as not given.
func (v value) null() bool {
	return v.expr == nil && v.list == nil && v.fields == nil && v.literal == nil
}

// The forms that no parameter has.
const (
	number Form = "a number"
	aTime  Form = "a time"
)

// formOf is the form of a value; empty where only an event tells.
func formOf(v value) Form {
	switch {
	case v.expr != nil:
		return formOfType(v.expr.Type)
	case v.fields != nil:
		return Object
	case v.list != nil:
		return List
	}
	switch v.literal.(type) {
	case string:
		return Text
	case bool:
		return Flag
	case nil:
		return ""
	}
	return number
}

func formOfType(t *cel.Type) Form {
	switch t.Kind() {
	case types.StringKind, types.BytesKind:
		return Text
	case types.BoolKind:
		return Flag
	case types.MapKind, types.StructKind:
		return Object
	case types.ListKind:
		return List
	case types.IntKind, types.UintKind, types.DoubleKind:
		return number
	case types.TimestampKind, types.DurationKind:
		return aTime
	}
	return ""
}
