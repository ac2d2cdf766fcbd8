package reads

import (
	"cmp"
	"context"

	"keyturn/internal/apiclient/asa"
)

// noDevice is an id in ASA's form that nobody has.
const noDevice = "00000000-0000-4000-8000-000000000000"

// asaReader is who may read in a team.
const asaReader = "access_user, access_admin or reporting_user"

// checkASA tries the operations of package asa.
func checkASA(ctx context.Context, t *trial, c *asa.Client) {
	t.tokenOp = "asa.serviceToken"
	t.tokenIs = "Check team, key_id and key_secret: the service user must be active, and its API key not expired"
	read := func(op string) Operation {
		return Operation{Op: "asa." + op, Needs: asaReader,
			Fix: "Put the service user into a group with the role access_admin (Privileged Access: resource_admin)"}
	}
	var device asa.Device
	t.try(ctx, read("listClients"), "", false, func(ctx context.Context) (err error) {
		device, err = first(c.ListClients(ctx, asa.ListClientsOptions{All: true, Count: 1}))
		return err
	})
	t.try(ctx, read("getClient"), "", true, func(ctx context.Context) error {
		_, err := c.GetClient(ctx, cmp.Or(device.ID, noDevice))
		return err
	})
	var user asa.User
	t.try(ctx, read("listUsers"), "", false, func(ctx context.Context) (err error) {
		user, err = first(c.ListUsers(ctx, asa.ListUsersOptions{Count: 1}))
		return err
	})
	t.try(ctx, read("getUser"), "", true, func(ctx context.Context) error {
		_, err := c.GetUser(ctx, cmp.Or(user.Name, "keyturn.nobody"))
		return err
	})
	t.change("access_admin (Privileged Access: resource_admin)", "a change; the role shows only in use",
		"asa.revokeClient", "asa.assignClient")
}
