package actions_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"keyturn/internal/sandbox"
)

// org makes the sample company, and for a scenario about an app that has a client, its client.
func (s scenario) org(t *testing.T) *org {
	t.Helper()
	o := newOrg(t, 3, sandbox.Options{})
	if strings.HasPrefix(s.name, "app ") {
		o.addWiki(nil)
	}
	return o
}

// once reports whether a change that is made at most once had no effect.
func (s scenario) once(o *org) bool {
	switch s.name {
	case "create":
		return len(o.sb.Snapshot().Mosaic.Named("Wiki")) == 0
	case "app delete all":
		return len(o.sb.Snapshot().Mosaic.Clients) > 0
	}
	return false
}

// spared reports whether everyone whom the scenario is not about kept everything.
func (s scenario) spared(o *org, before sandbox.State) bool {
	now := o.sb.Snapshot()
	if s.name == "app delete all" {
		now.Mosaic, before.Mosaic = sandbox.MosaicState{}, sandbox.MosaicState{}
	}
	return reflect.DeepEqual(others(before, o.acme), others(now, o.acme))
}

// others gives the truth about everyone whom no scenario is about.
func others(s sandbox.State, a sandbox.Acme) any {
	mine := []string{a.Leaver.OktaID, a.Leaver.ASAName, a.Unassigned}
	s.Okta.Users = slices.DeleteFunc(s.Okta.Users, func(u sandbox.User) bool { return slices.Contains(mine, u.ID) })
	s.Okta.Tokens = slices.DeleteFunc(s.Okta.Tokens, func(x sandbox.RefreshToken) bool {
		return slices.Contains(mine, x.UserID) || x.ClientID == a.SharedClient
	})
	s.Okta.Grants = slices.DeleteFunc(s.Okta.Grants, func(x sandbox.Grant) bool { return slices.Contains(mine, x.UserID) })
	s.Okta.Sessions = slices.DeleteFunc(s.Okta.Sessions, func(x sandbox.Session) bool { return slices.Contains(mine, x.UserID) })
	s.ASA.Clients = slices.DeleteFunc(s.ASA.Clients, func(x sandbox.ASAClient) bool {
		return slices.Contains(mine, x.UserName) || slices.Contains(mine, x.ID)
	})
	s.Mosaic.Clients = slices.DeleteFunc(s.Mosaic.Clients, func(x sandbox.MosaicClient) bool { return x.Name == "Wiki" })
	return s
}
