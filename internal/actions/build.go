package actions

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"keyturn/internal/apiclient/asa"
	"keyturn/internal/apiclient/okta"
	"keyturn/internal/apiclient/transmit"
	"keyturn/internal/events"
)

// Clients are what the actions of one connection call with: the client of its provider, and nil for the others. It is
// safe for concurrent use, as the clients are.
type Clients struct {
	Connection string // its name: part of the mark of what is created there
	Okta       *okta.Client
	ASA        *asa.Client
	Transmit   *transmit.Client
	Sink       Sink    // where secrets of created clients go; nil = nowhere, and then nothing is created
	Sweeps     *Sweeps // what the actions of the connection read together; nil = each reads for itself
	// Idle is told that an action waits for what another one reads, and over that the wait is. gone, when closed, sends
	// it away from there. nil = nobody wants to know.
	Idle func() (gone <-chan struct{}, over func())
	// Stood is how long the connection's lane has stood still in all; nil = it never does.
	Stood func() time.Duration
	Now   func() time.Time // nil = time.Now
	// Protected gives the protected principal that one of these identifiers is, empty = none; nil = nobody is protected.
	// The kinds ask it of the account, the device or the client that they found: an event may name a protected one by
	// an identifier that the list does not.
	Protected func(ids []events.Identifier) string

	// LastAdmin reports whether the last administrator is protected at this connection; nil = not. Admins is what the
	// actions of the connection know together of administrators.
	LastAdmin func() bool
	Admins    *Admins

	class events.Class // of the action that a kind is built for
}

// share is how the action takes part in what others read.
func (c Clients) share() share {
	return share{with: c.Sweeps, class: c.class, idle: c.Idle, stood: c.Stood}
}

// spare refuses an account that is protected under any name that the provider has for it. begun says that an earlier
// observation found the account not protected, so that changes may have been made.
func (c Clients) spare(account string, begun bool, names events.UserRef) error {
	return c.spareAny("user "+account, begun, names.Identifiers())
}

// spareClient refuses a client that is protected by its id. begun says that an earlier observation found it not
// protected.
func (c Clients) spareClient(id string, begun bool) error {
	return c.spareAny("client "+id, begun, []events.Identifier{{Kind: events.ClientID, Value: id}})
}

// spareDevice refuses an ASA client that is protected by its id or by its host name.
func (c Clients) spareDevice(id, hostname string, begun bool) error {
	names := []events.Identifier{{Kind: events.ClientID, Value: id}}
	if host, ok := events.NewIdentifier(events.DeviceHost, hostname); ok {
		names = append(names, host)
	}
	return c.spareAny("device "+id, begun, names)
}

// spareAny refuses what is protected under one of these names.
func (c Clients) spareAny(what string, begun bool, names []events.Identifier) error {
	if c.Protected == nil {
		return nil
	}
	principal := c.Protected(names)
	if principal == "" {
		return nil
	}
	changed := "nothing was changed"
	if begun {
		changed = "nothing more is changed"
	}
	return protectedError(what, "the protected principal "+principal,
		"protected principal: "+changed+"; find out who is meant and why the event names it")
}

// protectedError refuses what must not be acted upon, and says what a person should do about it.
func protectedError(what, is, advice string) error {
	return advise(spared{fmt.Errorf("the %s is %s", what, is)}, advice)
}

// spared lies beneath every refusal of a target that is protected.
type spared struct{ error }

// contradicts refuses an account that has another identifier than the event says: the others may have been given to
// someone else. What either of them leaves empty contradicts nothing. It names the kinds of identifiers only.
func contradicts(account, by string, said, has events.UserRef) error {
	var kinds []string
	for _, want := range said.Identifiers() {
		others := slices.DeleteFunc(has.Identifiers(), func(id events.Identifier) bool { return id.Kind != want.Kind })
		if len(others) > 0 && !slices.Contains(others, want) {
			kinds = append(kinds, string(want.Kind))
		}
	}
	if len(kinds) == 0 {
		return nil
	}
	list := strings.Join(kinds, ", ")
	return advise(fmt.Errorf("the user %s, found by %s, has another %s than the event", account, by, list),
		"find out who is meant: by "+by+" the event names one account, by "+list+" another or none; correct the event and send it anew")
}

// now is the clock by which residual access is bounded.
func (c Clients) now() time.Time {
	if c.Now == nil {
		return time.Now()
	}
	return c.Now()
}

// Build makes the kind of an action. pins are the provider's ids that an earlier observation fixed. Its errors are
// Permanent: the action can never be made as it stands.
func (c Clients) Build(a events.Action, pins map[string]string) (Kind, error) {
	d, ok := definitionOf(a.Do)
	if !ok {
		return nil, permanent(a.Do, errors.New("no such kind of action"))
	}
	if !c.serves(d.Provider) {
		return nil, permanent(a.Do, advised{error: fmt.Errorf("connection %s is none of %s", c.Connection, d.Provider),
			advice: fmt.Sprintf("in connections.yaml write provider: %s, and that tenant, under %s again, and give the other tenant "+
				"a name of its own; then redrive or drop", d.Provider, c.Connection)})
	}
	p, err := readParameters(d.KindInfo, a.With)
	if err != nil {
		return nil, permanent(a.Do, err)
	}
	c.class = a.Class
	k, err := d.build(p, c, pins)
	if err != nil {
		return nil, permanent(a.Do, err)
	}
	return k, nil
}

// serves reports whether the connection is one of the provider's.
func (c Clients) serves(provider string) bool {
	switch provider {
	case "okta":
		return c.Okta != nil
	case "asa":
		return c.ASA != nil
	case "transmit":
		return c.Transmit != nil
	}
	return false
}

// parameters is what `with` says, checked for names: unknown ones are refused and required ones are there.
type parameters map[string]json.RawMessage

// readParameters reads `with` as its kind allows it. A parameter that is null counts as not given.
func readParameters(k KindInfo, with json.RawMessage) (parameters, error) {
	p := parameters{}
	if len(with) > 0 {
		if err := json.Unmarshal(with, &p); err != nil {
			return nil, errors.New("with is no object")
		}
	}
	for name, raw := range p {
		if !slices.ContainsFunc(k.Parameters, func(q Parameter) bool { return q.Name == name }) {
			return nil, fmt.Errorf("with.%s: no such parameter (%s)", name, k.names())
		}
		if string(raw) == "null" {
			delete(p, name)
		}
	}
	for _, q := range k.Parameters {
		if _, ok := p[q.Name]; q.Required && !ok {
			return nil, fmt.Errorf("with.%s: required and not there", q.Name)
		}
	}
	return p, nil
}

// names lists the parameters of a kind.
func (k KindInfo) names() string {
	var names []string
	for _, q := range k.Parameters {
		names = append(names, q.Name)
	}
	return strings.Join(names, ", ")
}

// into reads one parameter into v; one that is not there leaves v as it is. The error does not repeat the value.
func (p parameters) into(name string, v any) error {
	raw, ok := p[name]
	if !ok {
		return nil
	}
	if err := json.Unmarshal(raw, v); err != nil {
		if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return fmt.Errorf("with.%s: %s where %s is wanted", name, e.Value, e.Type)
		}
		return fmt.Errorf("with.%s: cannot be read", name)
	}
	return nil
}

// choice reads a parameter that is one of a few words, the first of which is the default.
func (p parameters) choice(name string, words ...string) (string, error) {
	word := words[0]
	if err := p.into(name, &word); err != nil {
		return "", err
	}
	if !slices.Contains(words, word) {
		return "", fmt.Errorf("with.%s: one of %s is wanted", name, strings.Join(words, ", "))
	}
	return word, nil
}
