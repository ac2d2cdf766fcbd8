package actions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"keyturn/internal/apiclient/transmit"
	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// transmitUpdateClient brings about that the fields that an app names are so at its Mosaic client, and sends only what
// is different. A field that is not named stays as it is; of an object, so does a member that is not named, although
// the API replaces objects as a whole: the whole one is sent, with what it held.
//
// Some fields are in no reply. They are sent once, blind, and their drift is nobody's to see.
type transmitUpdateClient struct {
	app    appClient
	change events.App
	want   map[string]json.RawMessage // by the API's names, which are those of the app's members
	beside []string                   // members of the app that are no fields of a client
	spared map[string]json.RawMessage // the fields not named, as they were before this attempt sent any; nil = it sent none
}

// unreadable names the fields that Mosaic takes and never shows (vendor page clients.openapi: in the request and not
// in the response).
var unreadable = []string{"role_ids", "is_third_party", "allowed_scopes", "consent_uri", "consent_validity_period"}

func defineTransmitUpdateClient() definition {
	return definition{
		KindInfo: KindInfo{
			Name: "transmit.update_client", Provider: "transmit",
			Parameters: []Parameter{
				{Name: "app", Required: true, Form: Object, Fields: changeFields(), About: "the app's key, and the fields of its client that shall be so, as the API spells them"},
				appClientIDParameter,
			},
		},
		build: func(p parameters, c Clients, pins map[string]string) (_ Kind, err error) {
			k := &transmitUpdateClient{}
			if k.app, err = newAppClient(p, c, pins); err != nil {
				return nil, err
			}
			if err = p.into("app", &k.change); err != nil {
				return nil, err
			}
			if err = k.readFields(p); err != nil {
				return nil, err
			}
			return k, checkChange(k.change)
		},
	}
}

// readFields parts the app's members into fields of a client and others. What is null or empty text counts as not
// given: the API cannot empty a text.
func (k *transmitUpdateClient) readFields(p parameters) error {
	var typed transmit.Update
	if err := p.into("app", &typed); err != nil {
		return err
	}
	given := map[string]json.RawMessage{}
	if err := p.into("app", &given); err != nil {
		return err
	}
	known, err := fieldsOf(typed)
	if err != nil {
		return err
	}
	k.want = map[string]json.RawMessage{}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		switch {
		case known[name] != nil:
			k.want[name] = given[name]
		case !slices.Contains([]string{"key", "roles_waived", "authentication_protocol"}, name):
			k.beside = append(k.beside, name)
		}
	}
	if len(k.want) == 0 {
		return errors.New("with.app: names no field of a client")
	}
	return nil
}

// fieldsOf gives the fields that are set, by the API's names.
func fieldsOf(u transmit.Update) (map[string]json.RawMessage, error) {
	raw, err := json.Marshal(u)
	if err != nil {
		return nil, errors.New("the fields of a client cannot be written as JSON")
	}
	fields := map[string]json.RawMessage{}
	return fields, json.Unmarshal(raw, &fields)
}

// checkChange refuses what the API would refuse, or what would give more than was asked for.
func checkChange(a events.App) error {
	switch {
	case a.RedirectURIs != nil && len(a.RedirectURIs) == 0:
		return errors.New("with.app.redirect_uris: a client needs at least one")
	case a.RoleIDs != nil && len(a.RoleIDs) == 0 && !a.RolesWaived:
		return errors.New("with.app.role_ids: empty: a client without roles may do everything; say roles_waived: true if that is meant")
	case len(a.RoleIDs) > 0 && a.RolesWaived:
		return errors.New("with.app.roles_waived: contradicts role_ids")
	case !slices.Contains([]string{"", transmit.Web, transmit.Native}, a.ClientType):
		return errors.New("with.app.client_type: web or native is wanted")
	case !slices.Contains([]string{"", transmit.OIDC}, a.AuthenticationProtocol):
		return errors.New("with.app.authentication_protocol: only oidc is supported")
	}
	return nil
}

// Observe implements Kind.
func (k *transmitUpdateClient) Observe(ctx context.Context) (Observation, error) {
	f, err := k.app.find(ctx)
	obs := Observation{Seen: f.seen, Pins: f.pins}
	if err != nil {
		return obs, err
	}
	if f.none || f.gone {
		return obs, k.app.unknown(f)
	}
	f.note(&obs)
	if err := k.fits(f.AppClient); err != nil {
		return obs, err
	}
	have, err := fieldsOf(transmit.Update{Common: f.Common, OIDCFields: f.OIDCFields, SAMLFields: f.SAMLFields})
	if err != nil {
		return obs, permanent("transmit.updateClient", err)
	}
	if err := k.sparedAll(have); err != nil {
		return obs, err
	}
	return obs, k.compare(f.AppClient, have, &obs)
}

// fits refuses what contradicts the client as it is.
func (k *transmitUpdateClient) fits(c transmit.AppClient) error {
	if want := k.change.AuthenticationProtocol; want != "" && c.Protocol != "" && want != c.Protocol {
		return advise(fmt.Errorf("client %s speaks %s", c.ClientID, c.Protocol), "a client's protocol cannot be changed: onboard the app anew")
	}
	kind := k.change.ClientType
	if kind == "" {
		kind = c.ClientType
	}
	for i, uri := range k.change.RedirectURIs {
		if !redirectable(uri, kind == transmit.Native) {
			return permanent("transmit.updateClient", fmt.Errorf("with.app.redirect_uris[%d]: https, or a local address, or for a native client a scheme like com.example.app", i))
		}
	}
	return nil
}

// sparedAll checks after a change that the fields that were not named are as they were: no field is required, which
// implies that absent ones keep their value, and the vendor does not say so.
func (k *transmitUpdateClient) sparedAll(have map[string]json.RawMessage) error {
	for _, name := range slices.Sorted(maps.Keys(k.spared)) {
		if !same(k.spared[name], have[name]) {
			return advise(fmt.Errorf("%s changed too and was not named", name),
				"compare the client at Mosaic with what it was: either the API resets what an update does not name, or somebody changed it at the same time")
		}
	}
	return nil
}

// compare says what is different.
func (k *transmitUpdateClient) compare(c transmit.AppClient, have map[string]json.RawMessage, obs *Observation) error {
	changed, blind := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	for _, name := range slices.Sorted(maps.Keys(k.want)) {
		wanted, err := k.wanted(name, c, have[name])
		if err != nil {
			return permanent("transmit.updateClient", err)
		}
		value := "as named"
		switch {
		case slices.Contains(unreadable, name):
			blind[name], value = wanted, "cannot be read back: sent once, and its drift does not show"
		case !same(wanted, have[name]):
			changed[name], value = wanted, "different"
		}
		obs.Seen = append(obs.Seen, ledger.Fact{What: name + " of client " + c.ClientID, Value: value})
	}
	if len(k.beside) > 0 {
		obs.Seen = append(obs.Seen, ledger.Fact{What: "members of the app that are no fields of a client", Value: strings.Join(k.beside, ", ")})
	}
	if len(changed) > 0 {
		rest := maps.Clone(have)
		maps.DeleteFunc(rest, func(name string, _ json.RawMessage) bool { return changed[name] != nil })
		obs.Needed = append(obs.Needed, Change{Call: "transmit.updateClient", Target: c.ClientID, Apply: func(ctx context.Context) (string, error) {
			k.spared = rest
			return k.send(ctx, c.ClientID, changed)
		}})
	}
	if len(blind) > 0 {
		target := c.ClientID + "/" + strings.Join(slices.Sorted(maps.Keys(blind)), ",")
		obs.Needed = append(obs.Needed, Change{Call: "transmit.updateClient", Target: target, Blind: true, Apply: func(ctx context.Context) (string, error) {
			return k.send(ctx, c.ClientID, blind)
		}})
	}
	return nil
}

// described gives the description that a client shall have, with the mark that is in the one it has. The text is read from the
// value that would be sent: an event with the field's name in two cases has another one in k.change.
func (k *transmitUpdateClient) described(have string, value json.RawMessage) (json.RawMessage, error) {
	var text string
	if json.Unmarshal(value, &text) != nil {
		return nil, errors.New("with.app.description: is no text")
	}
	mark := markIn(have)
	if err := checkMarks(text, mark, k.app.mark); err != nil || mark == "" {
		return value, err
	}
	return json.Marshal(describe(mark, text))
}

// wanted gives the value that a field shall have: the app's own, a description with the mark that is in it, an object
// with the members that were not named.
func (k *transmitUpdateClient) wanted(name string, c transmit.AppClient, have json.RawMessage) (json.RawMessage, error) {
	value := k.want[name]
	if name == "description" {
		return k.described(c.Description, value)
	}
	var members, all map[string]json.RawMessage
	if json.Unmarshal(value, &members) == nil {
		if json.Unmarshal(have, &all) != nil { // there is none yet
			all = map[string]json.RawMessage{}
		}
		maps.Copy(all, members)
		value, _ = json.Marshal(all) // parts of what was read above
	}
	u, err := typed(map[string]json.RawMessage{name: value})
	if err != nil {
		return nil, err
	}
	if sent, err := fieldsOf(u); err != nil || !same(sent[name], value) {
		return nil, fmt.Errorf("with.app.%s: lacks a member that is required, or has one that is 0 or that the API does not document", name)
	}
	return value, nil
}

// send sends fields.
func (k *transmitUpdateClient) send(ctx context.Context, id string, fields map[string]json.RawMessage) (string, error) {
	u, err := typed(fields)
	if err != nil {
		return "", permanent("transmit.updateClient", err)
	}
	_, request, err := k.app.client.UpdateClient(ctx, id, u)
	return request, err
}

// typed puts fields into the form in which the API takes them.
func typed(fields map[string]json.RawMessage) (transmit.Update, error) {
	var u transmit.Update
	raw, err := json.Marshal(fields)
	if err != nil || json.Unmarshal(raw, &u) != nil {
		return u, errors.New("with.app: a field has another form than the API documents")
	}
	return u, nil
}

// markIn gives the mark in a description; empty when it has none.
func markIn(description string) string {
	_, rest, found := strings.Cut(description, markBegin)
	id, _, closed := strings.Cut(rest, markEnd)
	if !found || !closed || len(id) != 32 {
		return ""
	}
	return markBegin + id + markEnd
}

// same compares two values as JSON. Lists are sets, for no field of a client gives their order a meaning, and an empty
// one may not be shown at all.
func same(a, b json.RawMessage) bool {
	return reflect.DeepEqual(unordered(a), unordered(b))
}

// unordered puts a list of texts in order; anything else stays.
func unordered(raw json.RawMessage) any {
	var texts []string
	if len(raw) == 0 || json.Unmarshal(raw, &texts) == nil {
		if len(texts) == 0 {
			return nil
		}
		return set(texts)
	}
	var v any
	_ = json.Unmarshal(raw, &v) // it was encoded by us, or read as JSON before
	return v
}
