package actions

import (
	"slices"
	"strings"
	"sync"
)

// KindInfo describes a kind to those who only name it: playbooks, guards and the documentation.
type KindInfo struct {
	Name        string      // what `do` says: "okta.suspend_user"
	Provider    string      // which provider's connections it can be `at`: "okta", "asa" or "transmit"
	Destructive bool        // cannot be undone: never goes after a failed predecessor
	Approvers   int         // how many people must approve it at least, whatever the guards say; 0 = none
	Parameters  []Parameter // what `with` takes; anything else is refused
}

// Parameter is one key of `with`.
type Parameter struct {
	Name     string
	Required bool
	Form     Form        // what it must be
	Words    []string    // the texts that it may be; nil = any
	Fields   []Parameter // of a mapping: what it may have, at least one of it; nil = anything
	About    string      // for a person, one line
}

// Form is what sort of value a parameter is.
type Form string

// The forms of parameters.
const (
	Text   Form = ""       // text
	Flag   Form = "flag"   // true or false
	Object Form = "object" // a mapping: a person or an app, as events have them
	List   Form = "list"   // a list of texts
	Any    Form = "any"    // whatever the provider takes
)

// definition is what a kind's file says of it.
type definition struct {
	KindInfo
	// build makes the kind; with holds only parameters that Parameters names, the required ones among them.
	build func(p parameters, c Clients, pins map[string]string) (Kind, error)
}

// definitions lists the kinds, made once: a new one adds its file and a line here. Nobody changes the list.
var definitions = sync.OnceValue(func() []definition {
	return []definition{
		defineASAApproveClient(), defineASARevokeClients(),
		defineOktaClearSessions(), defineOktaDeactivateUser(), defineOktaRevokeClientTokens(), defineOktaRevokeToken(),
		defineOktaRevokeUserTokens(), defineOktaSuspendUser(),
		defineTransmitDeleteAllClients(), defineTransmitDeleteClient(), defineTransmitEnsureClient(),
		defineTransmitSetResources(), defineTransmitUpdateClient(),
	}
})

// Kinds describes every kind, in the order of their names.
func Kinds() []KindInfo {
	var all []KindInfo
	for _, d := range definitions() {
		all = append(all, d.KindInfo)
	}
	slices.SortFunc(all, func(a, b KindInfo) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// KindOf finds a kind by name.
func KindOf(name string) (KindInfo, bool) {
	d, ok := definitionOf(name)
	return d.KindInfo, ok
}

// definitionOf finds what a kind's file says of it.
func definitionOf(name string) (definition, bool) {
	all := definitions()
	i := slices.IndexFunc(all, func(d definition) bool { return d.Name == name })
	if i < 0 {
		return definition{}, false
	}
	return all[i], true
}

// Destructive reports whether what the kind does cannot be undone. A kind that nobody knows is taken to destroy.
func Destructive(name string) bool {
	k, ok := KindOf(name)
	return !ok || k.Destructive
}
