package worker

import (
	"keyturn/internal/apiclient"
	"keyturn/internal/config"
	"keyturn/internal/events"
	"keyturn/internal/lane"
)

// budgetOf is a connection's budget as its lane takes it.
func budgetOf(b config.Budget) lane.Budget {
	normal, bulk := b.Reserve.Leaves()
	made := lane.Budget{Share: b.Share, Reserve: map[events.Class]int{events.Normal: normal, events.Bulk: bulk}}
	for _, bucket := range b.Buckets {
		if bucket.Limit == 0 {
			continue
		}
		if made.Known == nil {
			made.Known = map[string]lane.Limit{}
		}
		made.Known[bucket.Name] = lane.Limit{Calls: bucket.Limit, Window: bucket.Window}
	}
	return made
}

// routesOf is which calls count in its buckets, as its clients take it.
func routesOf(b config.Budget) apiclient.Routes {
	var routes apiclient.Routes
	for _, bucket := range b.Buckets {
		for _, c := range bucket.Calls {
			routes = append(routes, apiclient.Route{Method: c.Method, Path: c.Path, Bucket: bucket.Name})
		}
	}
	return routes
}
