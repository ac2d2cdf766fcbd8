package actions

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// transmitSetResources brings about that an app's Mosaic client may ask tokens for exactly the resources that are
// named. Their order means nothing.
type transmitSetResources struct {
	app  appClient
	want []string // sorted, each once
}

func defineTransmitSetResources() definition {
	return definition{
		KindInfo: KindInfo{
			Name: "transmit.set_resources", Provider: "transmit",
			Parameters: []Parameter{
				{Name: "app", Required: true, Form: Object, Fields: appFields(), About: "the app's key and its resources; an empty list is none at all"},
				appClientIDParameter,
			},
		},
		build: func(p parameters, c Clients, pins map[string]string) (_ Kind, err error) {
			k := &transmitSetResources{}
			if k.app, err = newAppClient(p, c, pins); err != nil {
				return nil, err
			}
			var app events.App
			if err = p.into("app", &app); err != nil {
				return nil, err
			}
			if app.Resources == nil {
				return nil, errors.New("with.app.resources: required; [] is none at all")
			}
			if slices.ContainsFunc(app.Resources, func(id string) bool { return strings.TrimSpace(id) == "" }) {
				return nil, errors.New("with.app.resources: an empty id")
			}
			k.want = set(app.Resources)
			return k, nil
		},
	}
}

// set gives the texts in order, each once.
func set(texts []string) []string {
	texts = slices.Clone(texts)
	slices.Sort(texts)
	return slices.Compact(texts)
}

// Observe implements Kind.
func (k *transmitSetResources) Observe(ctx context.Context) (Observation, error) {
	f, err := k.app.find(ctx)
	obs := Observation{Seen: f.seen, Pins: f.pins}
	if err != nil {
		return obs, err
	}
	if f.none || f.gone {
		return obs, k.app.unknown(f)
	}
	f.note(&obs)
	have := set(f.Resources)
	kept := 0
	for _, id := range have {
		if slices.Contains(k.want, id) {
			kept++
		}
	}
	obs.Seen = append(obs.Seen, ledger.Fact{
		What:  "resources of client " + f.ClientID,
		Value: fmt.Sprintf("%d, of which %d are among the %d that it shall have", len(have), kept, len(k.want)),
	})
	if slices.Equal(have, k.want) {
		return obs, nil
	}
	obs.Needed = []Change{{Call: "transmit.updateResourcesOfClient", Target: f.ClientID, Apply: func(ctx context.Context) (string, error) {
		_, request, err := k.app.client.SetResources(ctx, f.ClientID, k.want)
		return request, err
	}}}
	return obs, nil
}
