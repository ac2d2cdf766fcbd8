package mapping

import (
	"slices"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// entries adds entries(object): its members as a list of {key, value} in the order of their names. A comprehension over
// an object itself has no order, and what comes of it would differ from one delivery to its repeat.
func entries() cel.EnvOption {
	member := cel.MapType(cel.StringType, cel.DynType)
	return cel.Function("entries", cel.Overload("entries_map", []*cel.Type{cel.MapType(cel.DynType, cel.DynType)},
		cel.ListType(member), cel.UnaryBinding(members)))
}

func members(v ref.Val) ref.Val {
	m, ok := v.(traits.Mapper)
	if !ok {
		return types.MaybeNoSuchOverloadErr(v)
	}
	var names []string
	for it := m.Iterator(); it.HasNext() == types.True; {
		name, ok := it.Next().Value().(string)
		if !ok {
			return types.NewErr("entries: a member has a name that is no text")
		}
		names = append(names, name)
	}
	slices.Sort(names)
	list := make([]ref.Val, len(names))
	for i, name := range names {
		list[i] = types.NewRefValMap(inOrder{}, map[ref.Val]ref.Val{
			types.String("key"): types.String(name), types.String("value"): m.Get(types.String(name)),
		})
	}
	return types.NewRefValList(inOrder{}, list)
}

// day adds day(text): the day that stands in a time, 2026-12-31 of 2026-12-31T00:00:00Z, as it is written and whatever
// the zone. Many senders write a day as its midnight in UTC, which is the day before in half of the world. The day of a
// day is itself, also with a zone behind it (2026-12-31-08:00), and that of an empty text is empty. What is neither a
// day nor a time of RFC 3339 is an error.
func day() cel.EnvOption {
	return cel.Function("day", cel.Overload("day_string", []*cel.Type{cel.StringType}, cel.StringType, cel.UnaryBinding(dayOf)))
}

// xmlDay is a day as XML Schema writes it when it says a zone (XML Schema 1.1, part 2, 3.3.9).
const xmlDay = "2006-01-02Z07:00"

func dayOf(v ref.Val) ref.Val {
	text, ok := v.Value().(string)
	if !ok {
		return types.MaybeNoSuchOverloadErr(v)
	}
	if text == "" {
		return types.String("")
	}
	for _, form := range []string{time.DateOnly, time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04:05", xmlDay} {
		if t, err := time.Parse(form, text); err == nil {
			return types.String(t.Format(time.DateOnly))
		}
	}
	return types.NewErr("day: neither a day nor a time of RFC 3339")
}

// text adds text(value): what stands for a text. Nothing, null as well as a member that is not there, is the empty text,
// a whole number its digits, a text itself. Anything else is an error.
func text() cel.EnvOption {
	return cel.Function("text", cel.Overload("text_any", []*cel.Type{cel.DynType}, cel.StringType, cel.UnaryBinding(asText)))
}

func asText(v ref.Val) ref.Val {
	s, ok := textOf(v)
	if !ok {
		return types.NewErr("text: neither a text nor a whole number")
	}
	return types.String(s)
}
