package actions

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"keyturn/internal/apiclient"
	"keyturn/internal/apiclient/transmit"
	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/secret"
)

// transmitEnsureClient brings about that an app has one client at Mosaic, and that its secret is in the sink.
//
// The API knows no idempotency key, but shows a client's description on every read: a mark in it, made from the
// connection and the app's own key, says which client is ours. A client with the mark is adopted; without one it is
// created, once; of several the oldest is kept and the others are left for a person.
type transmitEnsureClient struct {
	all      Clients
	client   *transmit.Client
	sink     Sink
	app      events.App
	mark     string
	sameName string
	id       string       // fixed by an earlier observation, or created in this attempt
	fresh    secret.Value // of the client created in this attempt: a later read may mask it
}

func defineTransmitEnsureClient() definition {
	return definition{
		KindInfo: KindInfo{
			Name: "transmit.ensure_client", Provider: "transmit",
			Parameters: []Parameter{
				{Name: "app", Required: true, Form: Object, Fields: appFields(), About: "the app: key, name, redirect_uris, and role_ids or roles_waived"},
				{Name: "same_name", Words: []string{"fail", "create"},
					About: `a client of another origin has the name: "fail" (default) or "create" beside it`},
			},
		},
		build: func(p parameters, c Clients, pins map[string]string) (_ Kind, err error) {
			k := &transmitEnsureClient{all: c, client: c.Transmit, sink: c.Sink, id: pins[pinDevice]}
			if err = p.into("app", &k.app); err != nil {
				return nil, err
			}
			if k.sink == nil {
				return nil, advised{errors.New("the connection has no secret_sink"), "configure secret_sink for the connection, then redrive"}
			}
			if err = checkApp(k.app); err != nil {
				return nil, err
			}
			k.mark = markOf(c.Connection, k.app.Key)
			if err = checkMarks(k.app.Description, k.mark); err != nil {
				return nil, err
			}
			k.sameName, err = p.choice("same_name", "fail", "create")
			return k, err
		},
	}
}

// markOf makes the mark of an app's client: 128 bits of SHA-256 over connection and key. It depends on nothing that
// differs between two events about one app.
func markOf(connection, key string) string {
	h := sha256.New()
	for _, part := range []string{"transmit.ensure_client", connection, key} {
		_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		_, _ = h.Write([]byte(part))
	}
	return markBegin + hex.EncodeToString(h.Sum(nil)[:16]) + markEnd
}

// What a mark is put between.
const markBegin, markEnd = "[idem:", "]"

// checkMarks refuses a description with a mark that is none of own: an event about one app would make its client pass for
// another one's, which then had its redirects, or lost its own client's updates to it.
func checkMarks(description string, own ...string) error {
	for _, mark := range own {
		if mark != "" {
			description = strings.ReplaceAll(description, mark, " ")
		}
	}
	if strings.Contains(description, markBegin) {
		return advised{errors.New("with.app.description: holds a mark that is not the app's own"),
			"take " + markBegin + "…" + markEnd + " out of the description and send the event anew; find out who wrote it there"}
	}
	return nil
}

// checkApp refuses what the API would refuse, or what would give more than was asked for: a client that is created
// without roles gets one with access to everything (vendor page manage_clients).
func checkApp(a events.App) error {
	switch {
	case strings.TrimSpace(a.Key) == "":
		return errors.New("with.app.key: required")
	case strings.TrimSpace(a.Name) == "":
		return errors.New("with.app.name: required")
	case len(a.RedirectURIs) == 0:
		return errors.New("with.app.redirect_uris: at least one is required")
	case len(a.RoleIDs) == 0 && !a.RolesWaived:
		return errors.New("with.app.role_ids: required, or roles_waived: true: a client without roles may do everything")
	case len(a.RoleIDs) > 0 && a.RolesWaived:
		return errors.New("with.app.roles_waived: contradicts role_ids")
	case !slices.Contains([]string{"", transmit.Web, transmit.Native}, a.ClientType):
		return errors.New("with.app.client_type: web or native is wanted")
	case !slices.Contains([]string{"", transmit.OIDC}, a.AuthenticationProtocol):
		return errors.New("with.app.authentication_protocol: only oidc is supported")
	}
	for i, uri := range a.RedirectURIs {
		if !redirectable(uri, a.ClientType == transmit.Native) {
			return fmt.Errorf("with.app.redirect_uris[%d]: https, or a local address, or for a native client a scheme like com.example.app", i)
		}
	}
	return nil
}

// redirectable applies Mosaic's rules (vendor page manage_clients).
func redirectable(raw string, native bool) bool {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme == "" || u.Fragment != "" {
		return false
	}
	switch u.Scheme {
	case "https":
		return u.Host != ""
	case "http":
		ip, err := netip.ParseAddr(u.Hostname())
		return u.Hostname() == "localhost" || (err == nil && ip.IsLoopback())
	}
	return native && strings.Contains(u.Scheme, ".")
}

// Observe implements Kind.
func (k *transmitEnsureClient) Observe(ctx context.Context) (Observation, error) {
	listed, err := listAppClients(ctx, k.client)
	if err != nil {
		return Observation{}, err
	}
	obs := Observation{Pins: map[string]string{}, Seen: []ledger.Fact{{What: "clients of the app listed", Value: fmt.Sprint(len(listed))}}}
	mine := k.marked(listed)
	obs.Seen = append(obs.Seen, ledger.Fact{What: "clients with the mark " + k.mark, Value: fmt.Sprint(len(mine))})
	if k.id != "" && (len(mine) == 0 || mine[0].ClientID != k.id) {
		unlisted, there, err := k.unlisted(ctx, &obs)
		if err != nil {
			return obs, err
		}
		if there {
			mine = slices.Insert(mine, 0, unlisted)
		}
	}
	if len(mine) == 0 {
		return k.none(listed, obs)
	}
	kept := mine[0]
	for _, other := range mine[1:] {
		obs.Seen = append(obs.Seen, ledger.Fact{What: "client " + other.ClientID, Value: "has the mark too and is younger: a person should delete it"})
	}
	return k.found(ctx, kept, obs)
}

// marked gives the clients with the mark, the fixed one first if it is among them, and then the oldest.
func (k *transmitEnsureClient) marked(listed []transmit.AppClient) []transmit.AppClient {
	mine := marked(listed, k.mark)
	i := slices.IndexFunc(mine, func(c transmit.AppClient) bool { return c.ClientID == k.id })
	if i < 0 {
		return mine
	}
	fixed := mine[i]
	return slices.Insert(slices.Delete(mine, i, i+1), 0, fixed)
}

// found looks after the secret of the client that the app has.
func (k *transmitEnsureClient) found(ctx context.Context, c transmit.AppClient, obs Observation) (Observation, error) {
	if err := k.all.spareClient(c.ClientID, k.id == c.ClientID); err != nil {
		return obs, err
	}
	k.id = c.ClientID
	obs.Pins[pinDevice] = c.ClientID
	obs.Seen = append(obs.Seen, ledger.Fact{What: "client " + c.ClientID + " name", Value: c.Name})
	stored, readable, err := k.sink.Stored(ctx, c.ClientID)
	if err != nil {
		return obs, err
	}
	if stored {
		obs.Seen = append(obs.Seen, ledger.Fact{What: "secret of " + c.ClientID, Value: "in the sink"})
		return obs, nil
	}
	obs.Needed = []Change{{
		Call: "sink.store", Target: c.ClientID, Blind: !readable,
		Apply: func(ctx context.Context) (string, error) { return "", k.store(ctx, c.ClientID, c.Name) },
	}}
	return obs, nil
}

// unlisted reads the fixed client, which is not among those with the mark, before anything else is concluded: the
// listing lags behind, or the description is not what was sent, or it is not there any more.
func (k *transmitEnsureClient) unlisted(ctx context.Context, obs *Observation) (c transmit.AppClient, there bool, err error) {
	c, err = k.client.GetClient(ctx, k.id)
	if missing(err) {
		// It was ours and is gone: the id is free to be another one, the oldest other with the mark before a new one.
		obs.Seen = append(obs.Seen, ledger.Fact{What: "client " + k.id, Value: "gone (404)"})
		obs.Pins[pinDevice] = ""
		return c, false, nil
	}
	if err != nil {
		return c, false, err
	}
	obs.Seen = append(obs.Seen, ledger.Fact{
		What: "client " + k.id + " has the mark", Value: fmt.Sprint(strings.Contains(c.Description, k.mark)),
	})
	return c, true, nil
}

// none decides what it means that no client has the mark, and that the fixed one is not there either.
func (k *transmitEnsureClient) none(listed []transmit.AppClient, obs Observation) (Observation, error) {
	for _, c := range listed {
		if c.Name == k.app.Name && k.sameName == "fail" {
			return obs, advise(fmt.Errorf("client %s of another origin has the name", c.ClientID),
				"if it is the app's, put "+k.mark+" into its description and redrive; if not, set same_name: create in the playbook")
		}
	}
	obs.Needed = []Change{{Call: "transmit.createClient", Target: k.mark, Once: true, Apply: k.create}}
	return obs, nil
}

// create makes the client, and hands its secret on at once: a later read may mask it.
func (k *transmitEnsureClient) create(ctx context.Context) (string, error) {
	c, request, err := k.client.CreateOIDC(ctx, transmit.OIDCClient{
		Common: transmit.Common{Name: k.app.Name, Description: describe(k.mark, k.app.Description), Resources: k.app.Resources},
		OIDCFields: transmit.OIDCFields{
			RedirectURIs: k.app.RedirectURIs, ClientType: k.app.ClientType, ResponseTypes: k.app.ResponseTypes,
			PKCE: k.app.PKCE, RoleIDs: k.app.RoleIDs,
		},
	})
	if apiclient.CauseOf(err) == apiclient.AlreadyDone {
		return request, k.taken(ctx, err)
	}
	if err != nil {
		return request, err
	}
	// Dying here: the client exists, and its secret is read again by its id, if the provider still shows it.
	k.id, k.fresh = c.ClientID, c.ClientSecret
	if _, readable, _ := k.sink.Stored(ctx, c.ClientID); readable {
		_ = k.store(ctx, c.ClientID, c.Name) // the next observation sees whether it is there
	}
	return request, nil
}

// taken looks up who has the identifier that the API says is taken. Ours is found by its mark at the next
// observation; somebody else's is nothing that a repeat would change.
func (k *transmitEnsureClient) taken(ctx context.Context, conflict error) error {
	listed, err := k.client.ListClients(ctx)
	if err != nil {
		return err
	}
	if len(k.marked(listed)) > 0 {
		return conflict
	}
	e, _ := errors.AsType[*apiclient.Error](conflict)
	refused := *e
	refused.Cause = apiclient.Permanent
	refused.Err = advised{errors.New("an identifier is taken by a client that is not ours"), "find the client of that name or entity at Mosaic, then redrive or drop"}
	return &refused
}

// store hands the client's secret to the sink.
func (k *transmitEnsureClient) store(ctx context.Context, id, name string) error {
	s := k.fresh
	if s.IsZero() {
		c, err := k.client.GetClient(ctx, id)
		if err != nil {
			return err
		}
		s = c.ClientSecret
	}
	if masked(s) {
		return advise(fmt.Errorf("the provider does not show the secret of client %s again", id),
			"make a second secret for it at Mosaic, put it where its app reads it, and drop this")
	}
	return k.sink.Store(ctx, ClientSecret{ClientID: id, Name: name, Key: k.app.Key, Secret: s})
}

// masked reports whether a secret was replaced by nothing or by a row of one character.
func masked(s secret.Value) bool {
	v := s.Reveal()
	return v == "" || strings.Contains(v, "**") || strings.Trim(v, v[:1]) == ""
}

// descriptionBytes bounds a description: what Mosaic takes at most is not documented.
const descriptionBytes = 100

// describe puts the mark before the app's own text.
func describe(mark, text string) string {
	d := strings.TrimSpace(mark + " " + strings.Join(strings.Fields(text), " "))
	for len(d) > descriptionBytes || !utf8.ValidString(d) {
		_, size := utf8.DecodeLastRuneInString(d)
		d = d[:len(d)-size]
	}
	return d
}
