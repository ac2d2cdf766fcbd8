package config

import (
	"strconv"
	"strings"
	"time"
)

// Guards are what stands between a plan and its actions.
type Guards struct {
	Protected []Text           // principals that are never acted upon
	Groups    []ProtectedGroup // who else is not, by expressions over the event
	Admins    []Text           // connections at which the last administrator is not
	Brakes    []Brake
	Approve   []Approval
	ConfirmBy []Confirmation
}

// ProtectedGroup protects everybody and everything of whom an expression over the event is true.
type ProtectedGroup struct {
	When *Expr  // nil when the file's text is no expression, which is a fault
	On   []Text // the events that it is about; empty = every one whose type has the fields
	Why  string // for a person
	At   Position
}

// Brake holds events above a number, or a share of one, per window of time.
type Brake struct {
	On      []Text        // catalogue names of events that count together
	Sources []Text        // only what came from these; empty = from any
	By      *Expr         // each value is counted for itself; nil = all together
	Max     int           // how many may pass in a window, where Percent is 0
	Percent float64       // how many of a hundred may pass
	Of      int           // of how many, where Count is nil
	Count   *Count        // of how many, as a provider tells
	Per     time.Duration // the window
	Then    string        // "hold"
	At      Position
}

// Count is a number that a connection's provider tells.
type Count struct {
	What string // "active_users"
	At   Text   // the connection
}

// Approval holds plans with an action that all of these are about until enough people approve. What is empty is about
// every action.
type Approval struct {
	Do        []Text        // kinds of action
	Playbooks []Text        // names
	Classes   []string      // of the action
	Exempt    []string      // classes of actions that need no approval all the same
	On        []Text        // catalogue names of events
	When      *Expr         // nil: always
	Approvers int           // how many people must approve, at least 1
	Expires   time.Duration // when a plan no longer waits; 0 = never
	Then      string        // what becomes of it then: "deny" or "proceed"
	At        Position
}

// Confirmation holds plans until a second source says the same.
type Confirmation struct {
	On      []Text        // catalogue names of events
	Do      []Text        // kinds of action; empty = any
	When    *Expr         // nil: always
	Sources []Text        // whose word counts; empty = that of any other source
	Within  time.Duration // of each other
	At      Position
}

func readGuards(d *document, at path) Guards {
	var g Guards
	readProtected(d, at.to("protected"), &g)
	for _, here := range d.items(at.to("brake")...) {
		g.Brakes = append(g.Brakes, readBrake(d, here))
	}
	for _, here := range d.items(at.to("approve")...) {
		g.Approve = append(g.Approve, readApproval(d, here))
	}
	for _, here := range d.items(at.to("confirm_by")...) {
		g.ConfirmBy = append(g.ConfirmBy, readConfirmation(d, here))
	}
	return g
}

// readProtected reads who is never acted upon: texts, groups, and the last administrators.
func readProtected(d *document, at path, g *Guards) {
	for _, here := range d.items(at...) {
		if name, ok := d.value(here).(string); ok {
			g.Protected = append(g.Protected, Text{Value: name, At: d.position(here)})
			continue
		}
		if last := here.to("last_admin"); d.has(last) {
			var raw struct {
				At string `json:"at"`
			}
			d.decode(last, &raw)
			g.Admins = append(g.Admins, Text{Value: raw.At, At: d.position(last.to("at"))})
			continue
		}
		var raw struct {
			When string   `json:"when"`
			On   []string `json:"on"`
			Why  string   `json:"why"`
		}
		d.decode(here, &raw)
		group := ProtectedGroup{On: d.texts(here.to("on"), raw.On), Why: raw.Why, At: d.position(here)}
		if raw.When != "" {
			group.When = d.condition(here.to("when"), raw.When)
		}
		g.Groups = append(g.Groups, group)
	}
}

// readBrake reads one brake.
func readBrake(d *document, at path) Brake {
	var raw struct {
		On      []string `json:"on"`
		Sources []string `json:"sources"`
		By      string   `json:"by"`
		Per     string   `json:"per"`
		Then    string   `json:"then"`
	}
	d.decode(at, &raw)
	b := Brake{On: d.texts(at.to("on"), raw.On), Sources: d.texts(at.to("sources"), raw.Sources), Then: raw.Then,
		Per: d.window(at.to("per"), raw.Per), At: d.position(at)}
	if raw.By != "" {
		b.By = d.condition(at.to("by"), raw.By)
	}
	most, of := at.to("max"), at.to("percent_of")
	if text, ok := d.value(most).(string); ok {
		b.Percent = d.percent(most, text)
		if !d.has(of) {
			d.fault(most, "is a share of nothing: say of how many with percent_of")
		}
	} else {
		d.decode(most, &b.Max)
		if d.has(of) {
			d.fault(of, "has no share to be of: write max as one, such as 5%%")
		}
	}
	if _, ok := d.value(of).(map[string]any); ok {
		var raw struct {
			Count string `json:"count"`
			At    string `json:"at"`
		}
		d.decode(of, &raw)
		b.Count = &Count{What: raw.Count, At: Text{Value: raw.At, At: d.position(of.to("at"))}}
	} else {
		d.decode(of, &b.Of)
	}
	return b
}

// minWindow is the shortest span of time that guards take: a brake per 1ms lets everything pass.
const minWindow = time.Minute

// window reads a span of time of a guard.
func (d *document) window(at path, s string) time.Duration {
	v := d.duration(at, s, 0)
	if v > 0 && v < minWindow {
		d.fault(at, "is too short to guard anything: give at least %s", minWindow)
	}
	return v
}

// percent reads a share such as 2.5%.
func (d *document) percent(at path, text string) float64 {
	percent, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	if err == nil && percent > 0 && percent <= 100 {
		return percent
	}
	d.fault(at, "is no share: write a number above 0 and up to 100 with %%, such as 5%%")
	return 0
}

// checkCounts reports counts of connections that do not exist, or whose provider cannot tell them.
func checkCounts(d *document, g Guards, c Connections) {
	names := make([]string, len(c))
	for i, connection := range c {
		names[i] = connection.Name
	}
	for _, b := range g.Brakes {
		if b.Count == nil || b.Count.At.Value == "" {
			continue
		}
		connection, ok := c.Find(b.Count.At.Value)
		switch {
		case !ok:
			d.faultAt(b.Count.At.At, "no connection %s in %s%s", quote(b.Count.At.Value), ConnectionsFile, suggest(b.Count.At.Value, names))
		case connection.Provider == ProviderTransmit:
			d.faultAt(b.Count.At.At, "connection %s is of provider %s, which has no users to count: name one of okta or asa",
				quote(connection.Name), connection.Provider)
		}
	}
}

// rolesScope is what a service app of Okta must ask for to tell who is an administrator (vendor page oauth2-scopes).
const rolesScope = "okta.roles.read"

// checkAdmins reports connections at which nobody can say who is the last administrator.
func checkAdmins(d *document, g Guards, c Connections) {
	names := make([]string, len(c))
	for i, connection := range c {
		names[i] = connection.Name
	}
	for _, at := range g.Admins {
		connection, ok := c.Find(at.Value)
		app := connection.Auth.ServiceApp
		switch {
		case at.Value == "": // a fault of the file
		case !ok:
			d.faultAt(at.At, "no connection %s in %s%s", quote(at.Value), ConnectionsFile, suggest(at.Value, names))
		case connection.Provider != ProviderOkta:
			d.faultAt(at.At, "connection %s is of provider %s, which does not tell who is an administrator: name one of okta",
				quote(connection.Name), connection.Provider)
		case app != nil && count(app.Scopes, rolesScope) == 0 && count(app.Scopes, "okta.roles.manage") == 0:
			d.faultAt(at.At, "connection %s may not read who is an administrator: add %s to its auth.service_app.scopes, and grant it to the app",
				quote(connection.Name), rolesScope)
		}
	}
}

// readApproval reads one rule of what needs an approval.
func readApproval(d *document, at path) Approval {
	var raw struct {
		Do        []string `json:"do"`
		Playbook  []string `json:"playbook"`
		Class     []string `json:"class"`
		Exempt    []string `json:"exempt"`
		On        []string `json:"on"`
		When      string   `json:"when"`
		Approvers int      `json:"approvers"`
		Expires   string   `json:"expires"`
		Then      string   `json:"then"`
	}
	d.decode(at, &raw)
	a := Approval{
		Do: d.texts(at.to("do"), raw.Do), Playbooks: d.texts(at.to("playbook"), raw.Playbook), Classes: raw.Class,
		Exempt: raw.Exempt, On: d.texts(at.to("on"), raw.On), Approvers: max(raw.Approvers, 1), Then: raw.Then, At: d.position(at),
	}
	if raw.When != "" {
		a.When = d.condition(at.to("when"), raw.When)
	}
	if d.has(at.to("expires")) {
		a.Expires = d.window(at.to("expires"), raw.Expires)
	} else if raw.Then != "" {
		d.fault(at.to("then"), "never comes: say when with expires, such as 24h")
	}
	if !d.has(at.to("do")) && !d.has(at.to("playbook")) && !d.has(at.to("class")) && !d.has(at.to("on")) && !d.has(at.to("when")) {
		d.fault(at, "does not say what needs the approval: give do, playbook, class, on or when")
	}
	return a
}

// readConfirmation reads one rule of what must be confirmed.
func readConfirmation(d *document, at path) Confirmation {
	var raw struct {
		On      []string `json:"on"`
		Do      []string `json:"do"`
		When    string   `json:"when"`
		Sources []string `json:"sources"`
		Within  string   `json:"within"`
	}
	d.decode(at, &raw)
	c := Confirmation{
		On: d.texts(at.to("on"), raw.On), Do: d.texts(at.to("do"), raw.Do), Sources: d.texts(at.to("sources"), raw.Sources),
		Within: d.window(at.to("within"), raw.Within), At: d.position(at),
	}
	if raw.When != "" {
		c.When = d.condition(at.to("when"), raw.When)
	}
	return c
}

// CheckScopes reports sources that guards name and that no event can come from. It is for whoever reads sources.yaml
// too; the worker need not.
func (g Guards) CheckScopes(list Sources) error {
	var named []Text
	for _, b := range g.Brakes {
		named = append(named, b.Sources...)
	}
	for _, c := range g.ConfirmBy {
		named = append(named, c.Sources...)
	}
	var scopes []string
	owner := map[string]string{}
	for _, s := range list {
		scopes, owner[s.Name] = append(scopes, s.DedupScope), s.DedupScope
	}
	var faults Faults
	for _, name := range named {
		switch scope := owner[name.Value]; {
		case count(scopes, name.Value) > 0:
		case scope != "":
			faults = append(faults, Fault{Position: name.At, What: "its events carry its dedup_scope: name " + quote(scope)})
		default:
			faults = append(faults, Fault{Position: name.At, What: "no such source in " + SourcesFile + suggest(name.Value, scopes)})
		}
	}
	return faults.Err()
}
