package main

import (
	"fmt"
	"slices"
	"strings"

	"keyturn/internal/sandbox"
)

// verdict is one line of the demo's judgement: what must hold at the providers, and whether it does.
type verdict struct {
	what string
	ok   bool
}

// judge compares the providers' own state before and after: everything that had to go is gone, nobody else lost
// anything, and one client was created. It asks the sandbox alone, never Keyturn.
func judge(acme sandbox.Acme, before, after sandbox.State) []verdict {
	leaver, _ := after.Okta.User(acme.Leaver.OktaID)
	var list []verdict
	say := func(ok bool, format string, args ...any) {
		list = append(list, verdict{what: fmt.Sprintf(format, args...), ok: ok})
	}
	say(leaver.Status == sandbox.StatusSuspended, "%s is %s at Okta", acme.Leaver.Login, leaver.Status)
	say(len(after.Okta.TokensOf(leaver.ID)) == 0, "%d of %d refresh tokens of %s are left",
		len(after.Okta.TokensOf(leaver.ID)), len(before.Okta.TokensOf(leaver.ID)), acme.Leaver.Login)
	say(len(after.Okta.SessionsOf(leaver.ID)) == 0, "%d of %d sessions of %s are left",
		len(after.Okta.SessionsOf(leaver.ID)), len(before.Okta.SessionsOf(leaver.ID)), acme.Leaver.Login)
	say(len(after.ASA.ClientsOf(acme.Leaver.ASAName)) == 0, "%d of %d ASA clients of %s are left",
		len(after.ASA.ClientsOf(acme.Leaver.ASAName)), len(before.ASA.ClientsOf(acme.Leaver.ASAName)), acme.Leaver.Login)
	suspended, left := wildEnds(acme, after)
	say(suspended == wildPeople && left == 0, "%d of %d people of the feed are suspended, %d of their accesses are left", suspended, wildPeople, left)
	reported := reporter(acme)
	open := len(after.Okta.TokensOf(reported.OktaID)) + len(after.Okta.SessionsOf(reported.OktaID))
	say(open == 0, "%d tokens and sessions of %s are left", open, reported.Login)
	stolen, _ := after.ASA.Client(acme.Traveller.Devices[0])
	say(stolen.State == sandbox.ASADeleted, "the stolen %s is %s at ASA", stolen.Hostname, stolen.State)
	say(len(after.Okta.TokensOfClient(acme.SharedClient)) == 0, "%d of %d refresh tokens of the compromised client are left",
		len(after.Okta.TokensOfClient(acme.SharedClient)), len(before.Okta.TokensOfClient(acme.SharedClient)))
	born := len(after.Mosaic.Clients) - len(before.Mosaic.Clients)
	say(born == 1 && len(after.Mosaic.Named("Expense portal")) == 1, "%d client was created at Mosaic", born)
	lost := bystanders(acme, before, after)
	say(len(lost) == 0, "%d others lost anything%s", len(lost), strings.Join(lost, ", "))
	return list
}

// wildEnds counts the people of the feed who are suspended, and the access that they still have.
func wildEnds(acme sandbox.Acme, after sandbox.State) (suspended, left int) {
	for _, p := range acme.Staff[:wildPeople] {
		if u, _ := after.Okta.User(p.OktaID); u.Status == sandbox.StatusSuspended {
			suspended++
		}
		left += len(after.Okta.TokensOf(p.OktaID)) + len(after.Okta.SessionsOf(p.OktaID)) + len(after.ASA.ClientsOf(p.ASAName))
	}
	return suspended, left
}

// meant are the people who must lose everything, by Okta id and by ASA name, and those of them who are suspended.
func meant(acme sandbox.Acme) (all, suspended []string) {
	for _, p := range append([]sandbox.Person{acme.Leaver}, acme.Staff[:wildPeople]...) {
		suspended = append(suspended, p.OktaID)
		all = append(all, p.OktaID, p.ASAName)
	}
	p := reporter(acme)
	return append(all, p.OktaID, p.ASAName), suspended
}

// bystanders lists everything that is gone or changed and should not be: whatever belongs neither to those who left or
// reported, nor to the stolen laptop, nor to the leaked client.
func bystanders(acme sandbox.Acme, before, after sandbox.State) []string {
	var lost []string
	all, suspended := meant(acme)
	theirs := func(id string) bool { return slices.Contains(all, id) }
	for _, u := range before.Okta.Users {
		now, ok := after.Okta.User(u.ID)
		if !slices.Contains(suspended, u.ID) && (!ok || now.Status != u.Status) {
			lost = append(lost, "user "+u.Login)
		}
	}
	lost = append(lost, gone("token", before.Okta.Tokens, after.Okta.Tokens, func(t sandbox.RefreshToken) (string, bool) {
		return t.ID, theirs(t.UserID) || t.ClientID == acme.SharedClient
	})...)
	lost = append(lost, gone("session", before.Okta.Sessions, after.Okta.Sessions, func(s sandbox.Session) (string, bool) {
		return s.ID, theirs(s.UserID)
	})...)
	lost = append(lost, gone("grant", before.Okta.Grants, after.Okta.Grants, func(g sandbox.Grant) (string, bool) {
		return g.ID, theirs(g.UserID)
	})...)
	lost = append(lost, gone("mosaic client", before.Mosaic.Clients, after.Mosaic.Clients, func(m sandbox.MosaicClient) (string, bool) {
		return m.ID, false
	})...)
	for _, d := range before.ASA.Clients {
		now, ok := after.ASA.Client(d.ID)
		if !theirs(d.UserName) && d.ID != acme.Traveller.Devices[0] && (!ok || now.State != d.State || now.UserName != d.UserName) {
			lost = append(lost, "ASA client "+d.Hostname)
		}
	}
	return lost
}

// gone lists what was there before, is not there any more, and was not meant. name gives a thing's id, and whether it
// was meant to go.
func gone[T any](what string, before, after []T, name func(T) (string, bool)) []string {
	var lost []string
	for _, thing := range before {
		id, meant := name(thing)
		there := slices.ContainsFunc(after, func(other T) bool { o, _ := name(other); return o == id })
		if !meant && !there {
			lost = append(lost, what+" "+id)
		}
	}
	return lost
}

// repeated lists effects that the providers saw more than once: an access that was taken twice, a client that was
// created twice.
func repeated(journal sandbox.Journal) []string {
	count := map[string]int{}
	var twice []string
	for _, e := range journal.Effects() {
		if count[e]++; count[e] == 2 {
			twice = append(twice, e)
		}
	}
	return twice
}
