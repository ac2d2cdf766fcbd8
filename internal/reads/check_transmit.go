package reads

import (
	"context"

	"keyturn/internal/apiclient/transmit"
)

// checkTransmit tries the operations of package transmit.
func checkTransmit(ctx context.Context, t *trial, c *transmit.Client) {
	t.tokenOp = "transmit.token"
	t.tokenIs = "Check token_url, client_id and client_secret: they must be of a client of the application itself"
	read := func(op string) Operation {
		return Operation{Op: "transmit." + op, Needs: "apps:read",
			Fix: "Use a client of the application itself, or give its role apps:read; a token for other services is none for this one"}
	}
	var id string
	t.try(ctx, read("getAll"), "", false, func(ctx context.Context) error {
		clients, err := c.ListClients(ctx)
		if len(clients) > 0 {
			id = clients[0].ClientID
		}
		return err
	})
	unfit := ""
	if id == "" {
		unfit = "no client to try it with"
	}
	t.try(ctx, read("getClientById"), unfit, false, func(ctx context.Context) error {
		_, err := c.GetClient(ctx, id)
		return err
	})
	t.change("apps:create or apps:edit", "a change; the permission shows only in use", "transmit.createClient", "transmit.updateClient",
		"transmit.updateResourcesOfClient")
	t.change("apps:delete", "a change; the permission shows only in use", "transmit.deleteClient", "transmit.deleteClients")
}
