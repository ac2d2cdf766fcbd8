// Package reads is what an operator can read at a provider: a table of resources, one for every GET operation of the
// clients, and the check that tries a connection's credential.
//
// The worker that holds a connection's lane answers with it, so that the operator's machine needs no credential and
// every call spends the lane's budget: the clients that come in here pass the lane's gate. Nothing here changes
// anything at a provider, and no secret leaves: rows have no field for one, and what a provider adds unasked is
// redacted by its name (Send).
package reads

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"keyturn/internal/apiclient/asa"
	"keyturn/internal/apiclient/okta"
	"keyturn/internal/apiclient/transmit"
)

// Clients are what the reads of one connection call with: the client of its provider, and nil for the others.
type Clients struct {
	Okta     *okta.Client
	ASA      *asa.Client
	Transmit *transmit.Client
}

// The providers, as connections.yaml names them.
const (
	Okta     = "okta"
	ASA      = "asa"
	Transmit = "transmit"
)

// provider is whose client there is.
func (c Clients) provider() string {
	switch {
	case c.Okta != nil:
		return Okta
	case c.ASA != nil:
		return ASA
	case c.Transmit != nil:
		return Transmit
	}
	return ""
}

// Query is one question, in the form in which it travels.
type Query struct {
	Resource string            `json:"resource,omitempty"` // empty: which resources there are
	Filters  map[string]string `json:"filters,omitempty"`  // by name; "true" for a flag
	Limit    int               `json:"limit,omitempty"`    // rows at most; 0 = all
	Class    string            `json:"class,omitempty"`    // whose part of the budget it spends; empty = normal
	Actor    string            `json:"actor,omitempty"`    // who asks, for the worker's log
}

// Kind is the type of a filter's value or of a column.
type Kind string

// The kinds.
const (
	Text   Kind = "text"
	Flag   Kind = "flag"   // of a filter: "true" or absent
	Number Kind = "number" // a whole number above 0
	Time   Kind = "time"   // of a column: RFC 3339
)

// Filter is one thing that a resource can be narrowed by.
type Filter struct {
	Name     string
	Kind     Kind
	About    string
	Required bool
}

// Column is one column of a table of rows.
type Column struct {
	Title string `json:"title"`
	Field string `json:"field"` // of the row's JSON object
	Kind  Kind   `json:"kind,omitempty"`
	Wide  bool   `json:"wide,omitempty"` // only in a wide table
}

// Rows are the rows of an answer, made as they are asked for. They end after the first error.
type Rows = iter.Seq2[any, error]

// Resource is one thing that can be read at a provider.
type Resource struct {
	Provider string
	Name     string
	About    string
	Ops      []string // the provider's operations, as the clients name them
	Filters  []Filter
	OneOf    []string // filters of which exactly one must be given
	Columns  []Column

	open func(ctx context.Context, c Clients, a args) Rows
}

// All lists every resource of every provider, as `keyturn get` shows them.
func All() []Resource {
	return slices.Concat(of(Okta, oktaResources()), of(ASA, asaResources()), of(Transmit, transmitResources()))
}

// of names the provider of resources.
func of(provider string, list []Resource) []Resource {
	for i := range list {
		list[i].Provider = provider
	}
	return list
}

// Of lists the resources of a provider.
func Of(provider string) []Resource {
	return slices.DeleteFunc(All(), func(r Resource) bool { return r.Provider != provider })
}

// Filters lists every filter of every resource once, by name: the flags of a command line. A filter of that name has
// the same kind everywhere.
func Filters() []Filter {
	byName := map[string]Filter{}
	for _, r := range All() {
		for _, f := range r.Filters {
			known, ok := byName[f.Name]
			if ok && !strings.Contains(known.About, f.About) {
				f.About = known.About + "; " + f.About
			}
			f.Required = false
			byName[f.Name] = f
		}
	}
	list := make([]Filter, 0, len(byName))
	for _, f := range byName {
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b Filter) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// Usage writes the filters of a resource as a command line takes them.
func (r Resource) Usage() string {
	var one, rest []string
	for _, f := range r.Filters {
		text := "--" + f.Name
		if f.Kind != Flag {
			text += " " + strings.ToUpper(f.Name)
		}
		switch {
		case slices.Contains(r.OneOf, f.Name):
			one = append(one, text)
		case f.Required:
			rest = append(rest, text)
		default:
			rest = append(rest, "["+text+"]")
		}
	}
	if len(one) > 0 {
		rest = slices.Insert(rest, 0, strings.Join(one, " | "))
	}
	return strings.Join(rest, " ")
}

// Read answers a query with the clients of a connection. The columns are those of the rows. Its error, and that of the
// rows, is a *Fault.
func Read(ctx context.Context, c Clients, q Query) ([]Column, Rows, error) {
	if q.Resource == "" {
		return catalogueColumns(), catalogue(c.provider()), nil
	}
	list := Of(c.provider())
	i := slices.IndexFunc(list, func(r Resource) bool { return r.Name == q.Resource })
	if i < 0 {
		return nil, nil, &Fault{Code: Invalid, Message: fmt.Sprintf("%s has no resource %q", c.provider(), q.Resource),
			Suggestion: "it has " + strings.Join(names(list), ", ")}
	}
	r := list[i]
	if err := r.check(q); err != nil {
		return nil, nil, err
	}
	return r.Columns, limited(r.open(ctx, c, q.Filters), q.Limit), nil
}

// check says what is wrong with the filters of a query.
func (r Resource) check(q Query) error {
	wrong := func(format string, a ...any) error {
		return &Fault{Code: Invalid, Message: r.Name + ": " + fmt.Sprintf(format, a...),
			Suggestion: strings.TrimSpace("the filters are " + cmp.Or(r.Usage(), "none"))}
	}
	for name, value := range q.Filters {
		i := slices.IndexFunc(r.Filters, func(f Filter) bool { return f.Name == name })
		switch {
		case i < 0:
			return wrong("it cannot be filtered by --%s", name)
		case strings.TrimSpace(value) == "":
			return wrong("--%s is empty", name)
		case r.Filters[i].Kind == Flag && value != "true":
			return wrong("--%s takes no value", name)
		case r.Filters[i].Kind == Number && args(q.Filters).number(name) < 1:
			return wrong("--%s is no whole number above 0", name)
		}
	}
	given := 0
	for _, name := range r.OneOf {
		if _, ok := q.Filters[name]; ok {
			given++
		}
	}
	if len(r.OneOf) > 0 && given != 1 {
		return wrong("say one of --%s", strings.Join(r.OneOf, ", --"))
	}
	for _, f := range r.Filters {
		if _, ok := q.Filters[f.Name]; f.Required && !ok {
			return wrong("say --%s", f.Name)
		}
	}
	if q.Limit < 0 {
		return wrong("a limit below 0")
	}
	return nil
}

// args are the filters of a query, checked.
type args map[string]string

func (a args) on(name string) bool { return a[name] == "true" }

// number reads a number; 0 when it is none.
func (a args) number(name string) int {
	n, err := strconv.Atoi(a[name])
	if err != nil {
		return 0
	}
	return n
}

func names(list []Resource) []string {
	var all []string
	for _, r := range list {
		all = append(all, r.Name)
	}
	return all
}
