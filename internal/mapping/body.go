package mapping

import (
	"bytes"
	"errors"
	"net/url"
	"strconv"
	"strings"

	"keyturn/internal/events"
)

// Why a body cannot be read. Nothing of it is quoted.
var (
	errNotForm = errors.New("form: cannot be read")
	errEmpty   = errors.New("the body is empty")
)

// Parse reads a body and drops what is not kept or is redacted. From here on nobody sees what was dropped: neither an expression, nor
// a fault that is kept.
func (m *Mapping) Parse(body []byte) (tree any, err error) {
	switch {
	case len(bytes.TrimSpace(body)) == 0:
		return nil, errEmpty
	case m.format == formatForm:
		if tree, err = parseForm(body); err == nil {
			m.strip(tree)
		}
		return tree, err
	}
	if tree, err = events.Tree(body, m.keep); err == nil {
		m.black(tree)
	}
	return tree, err
}

// ParseJSON reads one JSON value as expressions see it: whole numbers are integers, as those who write expressions
// expect.
func ParseJSON(text []byte) (any, error) { return events.Tree(text, nil) }

// drop removes what a pointer names; a step * is any member or element.
func drop(tree any, pointer []string) {
	step, rest := pointer[0], pointer[1:]
	switch x := tree.(type) {
	case *events.Object:
		x.Retain(func(m *events.Member) bool {
			named := step == "*" || step == m.Name
			if named && len(rest) > 0 {
				drop(m.Value, rest)
			}
			return !named || len(rest) > 0
		})
	case []any:
		for i := range x {
			switch {
			case step != "*" && step != strconv.Itoa(i):
			case len(rest) == 0:
				x[i] = nil
			default:
				drop(x[i], rest)
			}
		}
	}
}

// parseForm reads application/x-www-form-urlencoded. Names with brackets nest, as many senders write them: data[id]=7
// is {data: {id: "7"}}, and list[]=a&list[]=b a list. A name that comes twice is a list of its values.
func parseForm(body []byte) (any, error) {
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, errNotForm
	}
	tree := map[string]any{}
	for name, list := range values {
		if err := put(tree, steps(name), list); err != nil {
			return nil, err
		}
	}
	return events.ObjectOf(tree), nil
}

// steps gives the members that a name with brackets goes through: data[id] is data, id.
func steps(name string) []string {
	head, rest, nested := strings.Cut(name, "[")
	if !nested || !strings.HasSuffix(rest, "]") || head == "" {
		return []string{name}
	}
	return append([]string{head}, strings.Split(strings.TrimSuffix(rest, "]"), "][")...)
}

// maxSteps bounds how deep a form nests.
const maxSteps = 16

func put(tree map[string]any, at []string, list []string) error {
	if len(at) > maxSteps {
		return errNotForm
	}
	for len(at) > 1 && at[1] != "" {
		next, ok := tree[at[0]].(map[string]any)
		if !ok {
			if tree[at[0]] != nil {
				return errNotForm // a text and a mapping under one name
			}
			next = map[string]any{}
			tree[at[0]] = next
		}
		tree, at = next, at[1:]
	}
	if tree[at[0]] != nil {
		return errNotForm
	}
	if len(list) == 1 && len(at) == 1 {
		tree[at[0]] = list[0]
		return nil
	}
	many := make([]any, len(list))
	for i, v := range list {
		many[i] = v
	}
	tree[at[0]] = many
	return nil
}
