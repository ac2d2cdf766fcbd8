package worker

import (
	"context"
	"encoding/json"
	"time"

	"keyturn/internal/config"
	"keyturn/internal/stream"
)

// Active says which playbooks are in force: the first page of the answer, in the form in which it travels. The file
// itself follows it, in as many pages as it needs.
type Active struct {
	Worker  string `json:"worker"`  // whose they are
	Version string `json:"version"` // config.Version of the file
	// Own are the principals that Keyturn signs in with, and protects whatever the file says, each with its connection.
	Own map[string]string `json:"own,omitempty"`
}

// activePage bounds a page of the file, in bytes: below what a broker takes in one message.
const activePage = 256 << 10

// serveActive answers which playbooks are in force until ctx ends: they are the same at whichever worker is asked, but
// for the seconds in which a change goes round.
func (w *Worker) serveActive(ctx context.Context) {
	service := stream.Service{
		Connection: stream.AnyWorker, Metadata: map[string]string{"worker": w.opts.Name},
		Readers: map[stream.Read]stream.Reader{stream.ReadConfig: w.active},
	}
	for ctx.Err() == nil {
		if err := w.bus.Serve(ctx, service); err != nil {
			w.log.WarnContext(ctx, "reads not served", "error", err, "retry_in", serveAgain)
		}
		select {
		case <-ctx.Done():
		case <-time.After(serveAgain):
		}
	}
}

// active answers one question for the playbooks.
func (w *Worker) active(_ context.Context, _ []byte, send func([]byte) error) error {
	set := w.set.Load()
	head, err := json.Marshal(Active{Worker: w.opts.Name, Version: set.Version(), Own: ownClients(w.fleet.connections())})
	if err != nil {
		return err
	}
	if err := send(head); err != nil {
		return err
	}
	for rest := set.Source(); len(rest) > 0; {
		n := min(len(rest), activePage)
		if err := send(rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// ownClients are the principals that Keyturn signs in with, each with one connection that it does so at.
func ownClients(list config.Connections) map[string]string {
	own := map[string]string{}
	for _, c := range list {
		if id := ownClient(c); id != "" {
			own["client:"+id] = c.Name
		}
	}
	return own
}
