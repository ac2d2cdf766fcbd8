package playbook

import (
	"context"
	"encoding/json"
	"fmt"

	"keyturn/internal/events"
	"keyturn/internal/expr"
)

// maxDry bounds what all dry runs of one plan take of its record, in bytes: what is on trial must not make a plan too
// large to be stored.
const maxDry = 128 << 10

// try says what the playbooks on trial would do with an event. Nothing about them can fail the plan.
func try(books []book, e events.Event, event any) []events.DryRun {
	ctx, cancel := context.WithTimeout(context.Background(), expr.MaxTime)
	defer cancel()
	spend, room := newBudget(ctx), maxDry
	var list []events.DryRun
	for _, b := range books {
		if !b.dryRun {
			continue
		}
		run := events.DryRun{Playbook: b.name}
		actions, err := b.apply(spend, e, event)
		switch n := size(actions); {
		case err != nil:
			run.Fault = err.Error()
		case len(actions) == 0:
			continue
		case n > room:
			run.Fault = fmt.Sprintf("%d actions: too large to be recorded", len(actions))
		default:
			run.Actions, room = actions, room-n
		}
		list = append(list, run)
	}
	return list
}

// size is what actions take of a record, in bytes.
func size(list []events.Action) int {
	b, err := json.Marshal(list)
	if err != nil {
		return maxDry + 1
	}
	return len(b)
}
