package worker

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"sync"

	"golang.org/x/sync/errgroup"

	"keyturn/internal/config"
	"keyturn/internal/lane"
)

// fleet is the lanes of a worker, one for each connection. While they run, connections come, go and change: of those
// that are the same as before the lane goes on and keeps its lease.
type fleet struct {
	// enlist makes known at the broker that the connection has a lane.
	enlist func(ctx context.Context, connection string) error
	ended  func() // told when a lane has given its lease back because its connection is no more what it was
	log    *slog.Logger

	mu     sync.Mutex
	berths []*berth     // in the order of the configuration
	begin  func(*berth) // starts a lane; nil while none runs
}

// berth is a lane with the connection that it was made for.
type berth struct {
	connection config.Connection
	lane       *lane.Lane
	left       context.Context // ends when the connection is no more what it was
	leave      context.CancelFunc
}

// prepare makes the lanes of connections, and takes over those that there are. Nothing is changed by it.
func (f *fleet) prepare(list config.Connections, lane func(config.Connection) (*lane.Lane, error)) ([]*berth, error) {
	var next []*berth
	var faults []error
	for _, c := range list {
		if b := f.find(c.Name); b != nil && reflect.DeepEqual(b.connection, c) {
			next = append(next, b)
			continue
		}
		l, err := lane(c)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		b := &berth{connection: c, lane: l}
		b.left, b.leave = context.WithCancel(context.Background())
		next = append(next, b)
	}
	return next, errors.Join(faults...)
}

// replace lets these lanes run and no others. One that ends finishes what it has in hand before it gives its lease
// back, and whoever is next at the connection waits for that: the lease decides, here as between workers.
func (f *fleet) replace(next []*berth) {
	f.mu.Lock()
	defer f.mu.Unlock()
	stays := map[*berth]bool{}
	for _, b := range next {
		stays[b] = true
	}
	for _, b := range f.berths {
		if !stays[b] {
			b.leave()
		}
		delete(stays, b)
	}
	f.berths = next
	for _, b := range next {
		if stays[b] && f.begin != nil {
			f.begin(b)
		}
	}
}

// run runs the lanes until ctx ends; its error is nil then.
func (f *fleet) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	f.mu.Lock()
	f.begin = func(b *berth) {
		g.Go(func() error {
			if err := f.enlist(ctx, b.connection.Name); err != nil && ctx.Err() == nil {
				f.log.WarnContext(ctx, "lane not known at the broker until it is held", "connection", b.connection.Name, "error", err)
			}
			err := b.run(ctx)
			if err == nil && ctx.Err() == nil {
				f.ended()
			}
			return err
		})
	}
	for _, b := range f.berths {
		f.begin(b)
	}
	f.mu.Unlock()
	<-ctx.Done()
	f.mu.Lock()
	f.begin = nil
	f.mu.Unlock()
	return g.Wait()
}

// run runs the lane until ctx ends or the connection changes.
func (b *berth) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(b.left, stop)()
	return b.lane.Run(ctx)
}

// find gives the berth of a connection; nil when there is none.
func (f *fleet) find(connection string) *berth {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range f.berths {
		if b.connection.Name == connection {
			return b
		}
	}
	return nil
}

// lanes are the lanes that run now.
func (f *fleet) lanes() []*lane.Lane {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := make([]*lane.Lane, len(f.berths))
	for i, b := range f.berths {
		list[i] = b.lane
	}
	return list
}

// connections are what they are for.
func (f *fleet) connections() config.Connections {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := make(config.Connections, len(f.berths))
	for i, b := range f.berths {
		list[i] = b.connection
	}
	return list
}

// names are the names of the connections.
func (f *fleet) names() []string {
	var names []string
	for _, c := range f.connections() {
		names = append(names, c.Name)
	}
	return names
}
