package playtest

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"keyturn/internal/config"
	"keyturn/internal/events"
)

// whole is an expectation that mentions all that is drawn of an action that no test expects.
func whole() config.ExpectedAction {
	any := config.Text{Value: "any"}
	return config.ExpectedAction{Playbook: any, Do: any, Connection: any, With: wholeWith{}}
}

// wholeWith asks for all parameters.
type wholeWith struct{}

// drawWanted writes an expected action as a test does.
func drawWanted(w config.ExpectedAction) string {
	var after []string
	for _, t := range w.After {
		after = append(after, t.Value)
	}
	return line([]field{
		{"playbook", w.Playbook.Value}, {"step", w.Step.Value}, {"do", w.Do.Value}, {"at", w.Connection.Value}, {"class", w.Class.Value},
		{"target", w.Target.Value}, {"on_dead", w.OnDead.Value}, {"after", listOf(w.After != nil, after)}, {"with", mappingOf(w.With)},
	})
}

// drawGot writes an action in the same way, with what the test mentions.
func drawGot(w config.ExpectedAction, a events.Action) string {
	mentioned := func(t config.Text, value string) string {
		if t.Value == "" {
			return ""
		}
		return value
	}
	with := ""
	switch w.With.(type) {
	case nil:
	case wholeWith:
		with = mappingOf(plain(a.With))
	default:
		with = mappingOf(project(w.With, plain(a.With)))
	}
	return line([]field{
		{"playbook", mentioned(w.Playbook, a.Playbook)}, {"step", a.Step}, {"do", mentioned(w.Do, a.Do)}, {"at", mentioned(w.Connection, a.Connection)},
		{"class", mentioned(w.Class, string(a.Class))}, {"target", mentioned(w.Target, a.Target)}, {"on_dead", mentioned(w.OnDead, string(a.OnDead))},
		{"after", listOf(w.After != nil, stepsOf(a.After))}, {"with", with},
	})
}

// project keeps of got what want mentions.
func project(want, got any) any {
	w, ok := want.(map[string]any)
	g, same := got.(map[string]any)
	if !ok || !same {
		return got
	}
	kept := map[string]any{}
	for key := range w {
		if value, there := g[key]; there {
			kept[key] = project(w[key], value)
		}
	}
	return kept
}

// field is a key and its text; one without text is left out.
type field struct{ key, text string }

func line(fields []field) string {
	var parts []string
	for _, f := range fields {
		if f.text != "" {
			parts = append(parts, f.key+": "+f.text)
		}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func listOf(given bool, names []string) string {
	if !given {
		return ""
	}
	return "[" + strings.Join(names, ", ") + "]"
}

func mappingOf(v any) string {
	if v == nil {
		return ""
	}
	return draw(v)
}

// draw writes a value as JSON, which is YAML too.
func draw(v any) string {
	if v == nil {
		return "nothing"
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "nothing that can be written"
	}
	return string(b)
}

func sorted(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }
