package burst

import (
	"encoding/json"
	"maps"

	"keyturn/internal/events"
)

// step makes an action of a case.
func step(caseID, name, do, at string, class events.Class, target string, with any, after ...string) (events.Action, error) {
	raw, err := json.Marshal(with)
	a := events.Action{
		ID: events.ActionID(caseID, "bench", name), Case: caseID, Playbook: "bench", Step: name, Do: do,
		Connection: at, Class: class, Target: target, With: raw,
	}
	for _, before := range after {
		a.After = append(a.After, events.ActionID(caseID, "bench", before))
	}
	return a, err
}

// offboard is the plan of a leaver by the default playbook, who is known by e-mail alone. cheap leaves out what would have
// to be read of everybody: the leaver is known by the ids that the providers gave, and no authorization server is swept.
func offboard(caseID string, p person, cheap bool) ([]events.Action, error) {
	who, tokens := p.UserRef, map[string]any{}
	if cheap {
		who = events.UserRef{OktaID: p.okta, ASAUsername: p.asa}
		tokens["sweep"] = "none"
	}
	var list []events.Action
	for _, s := range []struct{ name, do, at, after string }{
		{"suspend", "okta.suspend_user", atOkta, ""},
		{"sessions", "okta.clear_sessions", atOkta, "suspend"},
		{"tokens", "okta.revoke_user_tokens", atOkta, "sessions"},
		{"devices", "asa.revoke_clients", atASA, ""},
	} {
		var after []string
		if s.after != "" {
			after = []string{s.after}
		}
		with := map[string]any{"user": who}
		if s.name == "tokens" {
			maps.Copy(with, tokens)
		}
		a, err := step(caseID, s.name, s.do, s.at, events.Normal, "user:"+p.Email, with, after...)
		if err != nil {
			return nil, err
		}
		list = append(list, a)
	}
	return list, nil
}
