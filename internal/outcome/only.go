package outcome

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"keyturn/internal/config"
	"keyturn/internal/ledger"
)

// states lists what may be told of a plan, an action or a case; none of anything else.
func states(what string) []ledger.State {
	switch what {
	case ofPlan:
		return []ledger.State{ledger.Scheduled, ledger.Planned, ledger.Held, ledger.Refused, ledger.Superseded, ledger.Cancelled, ledger.Conflict}
	case ofAction:
		return []ledger.State{ledger.Started, ledger.Waiting, ledger.Verified, ledger.Applied, ledger.Contested, ledger.Dead, ledger.Redriven,
			ledger.Regressed, ledger.Cancelled}
	case ofCase:
		return []ledger.State{ledger.Open, ledger.Closed, ledger.ClosedWithResidual, ledger.NeedsPerson, slaNear, slaMissed}
	}
	return nil
}

// Check says before anything is begun what New would refuse of the settings that config.WorkerFromEnv took.
func Check(o config.Outcome) error {
	if o.URL == "" {
		return nil
	}
	return checkOnly(o.Select())
}

// checkOnly refuses a pattern by which nothing is ever told: whoever misspells a state would wait for it in vain.
func checkOnly(only []string) error {
	for _, pattern := range only {
		var names []string
		for _, what := range []string{ofPlan, ofAction, ofCase} {
			for _, state := range states(what) {
				names = append(names, what+"."+string(state))
			}
		}
		if !slices.ContainsFunc(names, func(name string) bool { return matches(pattern, name) }) {
			return fmt.Errorf("outcome hook: KEYTURN_OUTCOME_ONLY: %q selects nothing: there are %s, and * for a part", pattern, strings.Join(names, ", "))
		}
	}
	return nil
}

// matches reports whether a pattern selects a change, by its name "<what>.<state>".
func matches(pattern, name string) bool {
	ok, _ := path.Match(pattern, name)
	return ok
}
