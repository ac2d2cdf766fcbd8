package playbook

import (
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	"keyturn/internal/config"
)

// fits reports a value that a parameter of a kind can never take, as far as the file tells. What is null counts as not
// given.
func (p Parameter) fits(given config.Value, v value) config.Faults {
	if p.Form == "" || v.expr == nil && v.list == nil && v.fields == nil && v.literal == nil {
		return nil
	}
	if form := formOf(v); form != p.Form {
		if form == "" {
			return nil
		}
		return config.Faults{{Position: given.At, What: "is " + string(form) + ", where " + string(p.Form) + " is wanted"}}
	}
	word, literal := v.literal.(string)
	if literal && len(p.Words) > 0 && !slices.Contains(p.Words, word) {
		return config.Faults{{Position: given.At, What: "is none of the possible values" + config.Suggest(word, p.Words)}}
	}
	return nil
}

// The forms that no parameter has.
const (
	aList  Form = "a list"
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
		return aList
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
		return aList
	case types.IntKind, types.UintKind, types.DoubleKind:
		return number
	case types.TimestampKind, types.DurationKind:
		return aTime
	}
	return ""
}
