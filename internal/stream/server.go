package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// MinServer is the oldest server that has what is needed: message schedules whose fired copies behave, and the fixes
// of lost messages in 2.12 (Jepsen, December 2025).
const MinServer = "2.14.0"

// ErrServer: the server must not be used as it is; the message says what to do.
var ErrServer = errors.New("NATS server refused")

// checkVersion compares the server's version with MinServer.
func checkVersion(version string) error {
	var have, want [2]int
	if !parseVersion(version, &have) || !parseVersion(MinServer, &want) {
		return fmt.Errorf("%w: it reports version %q; run %s or newer", ErrServer, version, MinServer)
	}
	if have[0] < want[0] || have[0] == want[0] && have[1] < want[1] {
		return fmt.Errorf("%w: version %s is too old: upgrade it to %s or newer", ErrServer, version, MinServer)
	}
	return nil
}

// parseVersion reads major and minor.
func parseVersion(s string, v *[2]int) bool {
	part := strings.SplitN(strings.TrimPrefix(s, "v"), ".", 3)
	if len(part) != 3 {
		return false
	}
	for i := range v {
		n, err := strconv.Atoi(part[i])
		if err != nil {
			return false
		}
		v[i] = n
	}
	return true
}

// checkDurability refuses a server whose acknowledgement may not survive a power cut. The client port does not show
// the setting, so that it is read from the monitoring port, or vouched for.
func (b *Bus) checkDurability(ctx context.Context) error {
	o := b.opts
	switch {
	case o.InProcess != nil:
		if o.Durability == Group && o.Barrier == nil {
			return fmt.Errorf("%w: durability %q needs the barrier of the embedded server", ErrServer, Group)
		}
		return nil
	case o.Durability == Group:
		return nil // came in through an embedded server's listener: its owner answers the barrier, or nobody
	case o.Durability != "" && o.Durability != Always:
		return fmt.Errorf("%w: durability %q is not for a server of its own; use %q", ErrServer, o.Durability, Always)
	case len(o.Monitor) > 0:
		return b.checkMonitors(ctx)
	case o.AssertDurable:
		return nil
	}
	return fmt.Errorf("%w: nobody knows whether it keeps acknowledged messages through a power cut. Set `sync_interval: "+
		"always` in the jetstream block of every server, then either KEYTURN_NATS_MONITOR to the monitoring URLs of all "+
		"servers (http://host:8222,…), or KEYTURN_NATS_ASSERT_DURABLE=true to vouch for it", ErrServer)
}

// seen is what a monitoring port tells about its server (/varz and /jsz of the NATS documentation, "Monitoring").
type seen struct {
	ID         string `json:"server_id"`
	SyncAlways bool   `json:"-"`
	Size       int    `json:"-"`
}

// checkMonitors reads every monitoring URL: the connected server must be among them, each must sync always, and
// together they must be the whole cluster. A server that is away may stay unseen while most of them are there: a process
// that could not start then would make a second failure of the first.
func (b *Bus) checkMonitors(ctx context.Context) error {
	servers := map[string]bool{}
	size := 1
	var unseen []error
	for _, url := range b.opts.Monitor {
		s, err := look(ctx, strings.TrimSuffix(strings.TrimSpace(url), "/"))
		if err != nil {
			unseen = append(unseen, err)
			continue
		}
		if !s.SyncAlways {
			return fmt.Errorf("%w: the server at %s loses acknowledged messages in a power cut: set `sync_interval: always` "+
				"in its jetstream block and restart it", ErrServer, url)
		}
		servers[s.ID] = true
		size = max(size, s.Size)
	}
	if err := errors.Join(unseen...); err != nil && 2*len(servers) <= len(b.opts.Monitor) {
		return fmt.Errorf("%w: its durability cannot be seen at KEYTURN_NATS_MONITOR: %w", ErrServer, err)
	} else if err != nil {
		b.log.WarnContext(ctx, "durability of a server not seen", "error", err)
	}
	if !servers[b.nc.ConnectedServerId()] {
		return fmt.Errorf("%w: KEYTURN_NATS_MONITOR does not show the server that is connected (%s): name the monitoring "+
			"URL of every server", ErrServer, b.nc.ConnectedServerName())
	}
	if len(servers)+len(unseen) < size {
		return fmt.Errorf("%w: KEYTURN_NATS_MONITOR shows %d of the cluster's %d servers: name the monitoring URL of every "+
			"server", ErrServer, len(servers), size)
	}
	return nil
}

// look reads one monitoring port.
func look(ctx context.Context, url string) (seen, error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/jsz?config=true", nil)
	if err != nil {
		return seen{}, err
	}
	client := http.Client{Timeout: 5 * time.Second}
	resp, err := client.Do(req)
	if err != nil {
		return seen{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return seen{}, fmt.Errorf("%s/jsz answers status %d", url, resp.StatusCode)
	}
	var body struct {
		seen
		Config struct {
			SyncAlways bool `json:"sync_always"`
		} `json:"config"`
		Meta struct {
			Size int `json:"cluster_size"`
		} `json:"meta_cluster"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&body); err != nil {
		return seen{}, fmt.Errorf("%s/jsz: %w", url, err)
	}
	body.seen.SyncAlways, body.seen.Size = body.Config.SyncAlways, body.Meta.Size
	return body.seen, nil
}
