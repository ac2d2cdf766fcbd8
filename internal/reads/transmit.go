package reads

import (
	"context"

	"keyturn/internal/apiclient/transmit"
)

// transmitResources is every GET operation of package transmit.
func transmitResources() []Resource {
	return []Resource{
		{
			Name: "clients", About: "clients of the application", Ops: []string{"getAll"}, Columns: appClientColumns(),
			open: func(ctx context.Context, c Clients, _ args) Rows {
				clients, err := c.Transmit.ListClients(ctx)
				return some(clients, err, appClient)
			},
		},
		{
			Name: "client", About: "one client", Ops: []string{"getClientById"}, Filters: []Filter{byID}, Columns: appClientColumns(),
			open: func(ctx context.Context, c Clients, a args) Rows {
				client, err := c.Transmit.GetClient(ctx, a["id"])
				return one(client, err, appClient)
			},
		},
	}
}

func appClientColumns() []Column {
	return []Column{{Title: "CLIENT", Field: "client_id"}, {Title: "NAME", Field: "name"}, {Title: "PROTOCOL", Field: "authentication_protocol"},
		{Title: "TYPE", Field: "client_type"}, {Title: "UPDATED", Field: "updated_at", Kind: Time},
		{Title: "RESOURCES", Field: "resources", Wide: true}, {Title: "REDIRECTS TO", Field: "redirect_uris", Wide: true},
		{Title: "DESCRIPTION", Field: "description", Wide: true}}
}

// appClient is a client in the API's own fields; its secret prints as redacted.
func appClient(c transmit.AppClient) any { return c }
