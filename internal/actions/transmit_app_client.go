package actions

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"keyturn/internal/apiclient"
	"keyturn/internal/apiclient/transmit"
	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// appClient finds the one Mosaic client that an action about an app is about: by its id, or by the mark that
// transmit.ensure_client put into its description.
type appClient struct {
	all    Clients
	client *transmit.Client
	key    string // of the app; empty when only an id is given
	mark   string // of the app's client
	id     string // given, or fixed by an earlier observation; empty = by the mark
	fixed  bool   // an earlier observation saw the client with this id
}

// appClientIDParameter is what the kinds about an app's client take beside the app.
var appClientIDParameter = Parameter{
	Name: "client_id", About: "id of the client; not given or empty = the one that transmit.ensure_client made for the app",
}

// newAppClient reads the parameters app and client_id.
func newAppClient(p parameters, c Clients, pins map[string]string) (appClient, error) {
	var app events.App
	a := appClient{all: c, client: c.Transmit}
	if err := p.into("app", &app); err != nil {
		return a, err
	}
	if err := p.into("client_id", &a.id); err != nil {
		return a, err
	}
	a.key, a.id = app.Key, strings.TrimSpace(a.id)
	if strings.TrimSpace(a.key) == "" && a.id == "" {
		return a, errors.New("with: neither app.key nor client_id")
	}
	a.mark = markOf(c.Connection, a.key)
	if pinned := pins[pinDevice]; pinned != "" {
		a.id, a.fixed = pinned, true
	}
	return a, nil
}

// foundAppClient is what a look at the client showed.
type foundAppClient struct {
	transmit.AppClient
	none  bool                 // no client is the app's
	gone  bool                 // the fixed client is not there any more
	twins []transmit.AppClient // others with the mark, younger than this one
	seen  []ledger.Fact        // the positive control
	pins  map[string]string
}

// find reads the client. What it finds is fixed from then on. One that is protected is an error.
func (a *appClient) find(ctx context.Context) (foundAppClient, error) {
	var f foundAppClient
	by := "its id"
	if a.id == "" {
		if err := a.byMark(ctx, &f); err != nil || f.none {
			return f, err
		}
		by = "the mark " + a.mark
	}
	if err := a.all.spareClient(a.id, a.fixed && by == "its id"); err != nil {
		return f, err
	}
	if a.fixed {
		f.pins = map[string]string{pinDevice: a.id}
	}
	c, err := a.client.GetClient(ctx, a.id)
	switch {
	case missing(err):
		return f, a.missing(ctx, &f)
	case err != nil:
		return f, err
	case c.ClientID != a.id:
		return f, permanent("transmit.getClientById", errors.New("the reply is about another client"))
	}
	f.AppClient, a.fixed = c, true
	f.pins = map[string]string{pinDevice: a.id}
	f.seen = append(f.seen, ledger.Fact{What: "client " + a.id + " name", Value: c.Name}, ledger.Fact{What: "client " + a.id + " found by", Value: by})
	return f, nil
}

// note says which other clients have the mark.
func (f *foundAppClient) note(obs *Observation) {
	for _, twin := range f.twins {
		obs.Seen = append(obs.Seen, ledger.Fact{What: "client " + twin.ClientID, Value: "has the mark too and is younger: left as it is"})
	}
}

// byMark looks the client up in the list of all.
func (a *appClient) byMark(ctx context.Context, f *foundAppClient) error {
	listed, err := listAppClients(ctx, a.client)
	if err != nil {
		return err
	}
	mine := marked(listed, a.mark)
	f.seen = append(f.seen, ledger.Fact{What: "clients of the app listed", Value: fmt.Sprint(len(listed))},
		ledger.Fact{What: "clients with the mark " + a.mark, Value: fmt.Sprint(len(mine))})
	if len(mine) == 0 {
		f.none = true
		return nil
	}
	a.id, a.fixed, f.twins = mine[0].ClientID, true, mine[1:]
	return nil
}

// missing decides what it means that the client with this id is not there, and makes the positive control: the same
// credential lists the others.
func (a *appClient) missing(ctx context.Context, f *foundAppClient) error {
	listed, err := listAppClients(ctx, a.client)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(listed, func(c transmit.AppClient) bool { return c.ClientID == a.id }) {
		return &apiclient.Error{Op: "transmit.getClientById", Err: errors.New("404 for a client that is in the list")}
	}
	f.seen = append(f.seen, ledger.Fact{What: "other clients of the app listed", Value: fmt.Sprint(len(listed))},
		ledger.Fact{What: "client " + a.id, Value: "not there (404)"})
	f.ClientID, f.none, f.gone = a.id, !a.fixed, a.fixed
	return nil
}

// absent says that no client is the app's.
func (a *appClient) absent() error {
	if a.id != "" {
		return fmt.Errorf("no client has the id %s", a.id)
	}
	return fmt.Errorf("no client has the mark of the app %s", a.key)
}

// unknown is the error of a kind that needs the client to be there.
func (a *appClient) unknown(f foundAppClient) error {
	switch {
	case f.gone:
		return advise(fmt.Errorf("client %s was deleted meanwhile", a.id), "find out who deleted it; to have it made again, send app.onboarded anew")
	case a.id != "":
		return advise(a.absent(), "check client_id and the connection in the playbook")
	}
	return advise(a.absent(),
		"if the app has a client, put "+a.mark+" into its description or give client_id in the playbook; if not, send app.onboarded first")
}

// listAppClients lists all clients of the application that this connection speaks for. The list is never empty: an
// application begins with a client, and one of them makes this call.
func listAppClients(ctx context.Context, c *transmit.Client) ([]transmit.AppClient, error) {
	listed, err := c.ListClients(ctx)
	if err == nil && len(listed) == 0 {
		err = &apiclient.Error{Op: "transmit.getAll", Err: errors.New("an empty list, although this app has a client")}
	}
	return listed, err
}

// marked gives the clients with a mark, the oldest first.
func marked(listed []transmit.AppClient, mark string) []transmit.AppClient {
	var mine []transmit.AppClient
	for _, c := range listed {
		if strings.Contains(c.Description, mark) {
			mine = append(mine, c)
		}
	}
	slices.SortStableFunc(mine, func(a, b transmit.AppClient) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return mine
}
