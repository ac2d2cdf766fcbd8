package transmit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"keyturn/internal/apiclient"
)

// Deleting clients of an application needs apps:delete or [appId]:delete, creating and changing them apps:create,
// apps:edit or the same of the application, reading them apps:read, or a token of the application itself.

// CreateOIDC creates a client that speaks OpenID Connect. The reply holds its secret, perhaps for the only time.
//
//	createClient  POST /v1/clients  201; 400, 409
//	permission apps:create or apps:edit; bucket /v1/clients
//
// A repeat creates a second client. When the outcome is unknown look it up (ListClients) before repeating. 409, an
// identifier is taken, is AlreadyDone: look up whether it is ours.
func (c *Client) CreateOIDC(ctx context.Context, client OIDCClient) (created AppClient, requestID string, err error) {
	const op = "transmit.createClient"
	if strings.TrimSpace(client.Name) == "" || len(client.RedirectURIs) == 0 {
		return AppClient{}, "", refuse(op, "name and redirect_uris are required")
	}
	if d := client.DeviceAuthorization; d != nil && (d.ApprovalURI == "" || d.SuccessURI == "" || d.InputURI == "") {
		return AppClient{}, "", refuse(op, "device_authorization needs all of its URIs")
	}
	body := struct {
		Protocol string `json:"authentication_protocol"`
		OIDCClient
	}{OIDC, client}
	return c.one(ctx, apiclient.Request{Op: op, Method: http.MethodPost, Path: path(), JSON: body, Once: true})
}

// CreateSAML creates a client that speaks SAML. Otherwise as CreateOIDC.
//
//	createClient  POST /v1/clients  201; 400, 409
//	permission apps:create or apps:edit; bucket /v1/clients; a repeat creates a second client
func (c *Client) CreateSAML(ctx context.Context, client SAMLClient) (created AppClient, requestID string, err error) {
	const op = "transmit.createClient"
	if strings.TrimSpace(client.Name) == "" || client.SPEntityID == "" {
		return AppClient{}, "", refuse(op, "name and sp_entity_id are required")
	}
	body := struct {
		Protocol string `json:"authentication_protocol"`
		SAMLClient
	}{SAML, client}
	return c.one(ctx, apiclient.Request{Op: op, Method: http.MethodPost, Path: path(), JSON: body, Once: true})
}

// ListClients lists all clients of the application. An application is made with one client, so an empty list is
// surprising.
//
//	getAll  GET /v1/clients  200, one plain array; 400
//	permission apps:read; bucket /v1/clients; a repeat is safe
func (c *Client) ListClients(ctx context.Context) ([]AppClient, error) {
	q := apiclient.Request{Op: "transmit.getAll", Path: path()}
	r, err := c.do(ctx, q)
	if err != nil {
		return nil, err
	}
	var clients []AppClient
	if err = r.Decode(&clients); err == nil && clients == nil {
		err = errors.New("null in place of a list")
	}
	for _, client := range clients {
		if err == nil && client.ClientID == "" {
			err = errors.New("a client without client_id")
		}
	}
	if err != nil {
		return nil, r.Unreadable(q.Op, err)
	}
	return clients, nil
}

// GetClient reads one client.
//
//	getClientById  GET /v1/clients/{clientId}  200; 400, 404
//	permission apps:read; bucket /v1/clients; a repeat is safe
func (c *Client) GetClient(ctx context.Context, clientID string) (AppClient, error) {
	client, _, err := c.one(ctx, apiclient.Request{Op: "transmit.getClientById", Path: path(clientID)})
	return client, err
}

// UpdateClient changes a client. Objects are replaced as a whole: send all of one, or none.
//
//	updateClient  PUT /v1/clients/{clientId}  200; 400, 404
//	permission apps:edit; bucket /v1/clients; a repeat is safe
func (c *Client) UpdateClient(ctx context.Context, clientID string, u Update) (updated AppClient, requestID string, err error) {
	return c.one(ctx, apiclient.Request{Op: "transmit.updateClient", Method: http.MethodPut, Path: path(clientID), JSON: u})
}

// DeleteClient deletes one client. One that is gone gives 404 (AlreadyDone).
//
//	deleteClient  DELETE /v1/clients/{clientId}  204; 400, 404
//	permission apps:delete; bucket /v1/clients; a repeat is safe
func (c *Client) DeleteClient(ctx context.Context, clientID string) (requestID string, err error) {
	r, err := c.do(ctx, apiclient.Request{Op: "transmit.deleteClient", Method: http.MethodDelete, Path: path(clientID)})
	return r.RequestID, err
}

// DeleteAllClients deletes all clients of the application, also the one that makes this call: the application, and
// this connection, are of no use after it.
//
//	deleteClients  DELETE /v1/clients  204; 400, 404
//	permission apps:delete; bucket /v1/clients; a repeat is refused, for its credential is gone
func (c *Client) DeleteAllClients(ctx context.Context) (requestID string, err error) {
	r, err := c.do(ctx, apiclient.Request{Op: "transmit.deleteClients", Method: http.MethodDelete, Path: path()})
	return r.RequestID, err
}

// SetResources replaces the resources that a client may ask for.
//
//	updateResourcesOfClient  PUT /v1/clients/{clientId}/resources {resource_ids}  200
//	permission apps:edit; bucket /v1/clients; a repeat is safe
func (c *Client) SetResources(ctx context.Context, clientID string, resourceIDs []string) (updated AppClient, requestID string, err error) {
	if resourceIDs == nil {
		resourceIDs = []string{} // null is no list
	}
	return c.one(ctx, apiclient.Request{
		Op: "transmit.updateResourcesOfClient", Method: http.MethodPut, Path: path(clientID, "resources"),
		JSON: map[string][]string{"resource_ids": resourceIDs},
	})
}

// path gives elements below /v1/clients.
func path(elements ...string) []string { return append([]string{"v1", "clients"}, elements...) }

// refuse makes the error of a call that must not be made.
func refuse(op, why string) error {
	return &apiclient.Error{Op: op, Cause: apiclient.Permanent, Err: fmt.Errorf("refused: %s", why)}
}
