package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"keyturn/internal/sandbox"
	"keyturn/internal/stream/streamtest"
)

// kept is a stream as a snapshot of it holds it, which is what `nats account backup` writes to files.
type kept struct {
	name   string
	about  map[string]json.RawMessage // config and state
	chunks [][]byte
}

// TestAStoreMovesToServers follows docs/OPERATIONS.md from one machine to servers of their own: a plain server over a
// copy of the store, a backup of all streams, a restore at the new servers, and an ingest and a worker there. What was
// half done is finished, nothing is done twice, and the chain holds.
func TestAStoreMovesToServers(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs the real commands")
	}
	o := newSolo(t)
	o.start()
	half, future := o.company.leavers[0], o.company.leavers[1]
	down := o.fault(sandbox.Fault{Method: http.MethodDelete, Path: "/asa/v1/**", Kind: sandbox.KindStatus, Status: 502, Times: -1})
	first := o.send(leave("hr-1", half, time.Time{}))
	later := o.send(leave("hr-2", future, time.Now().Add(48*time.Hour)))
	o.halfDone(first)
	o.serve.stop(t)
	o.sb.ClearFaults(down)

	old := broker{Name: "old", Store: o.store, Client: streamtest.Address(t), Monitor: streamtest.Address(t), Durable: true}
	copied := old.proc(t, "old")
	old.start(t, copied)
	streams := backUp(t, old)
	copied.stop(t)
	fresh, server := newBroker(t, true)
	fresh.start(t, server)
	restore(t, fresh, streams)

	key, err := os.ReadFile(filepath.Join(o.store, "deployment.key"))
	if err != nil {
		t.Fatal(err)
	}
	common := []string{"KEYTURN_NATS_URL=nats://" + fresh.Client, "KEYTURN_NATS_MONITOR=http://" + fresh.Monitor, "KEYTURN_CONFIG_DIR=" + o.config}
	p := &plant{}
	worker := p.process(t, "worker-1", append(common, "KEYTURN_DEPLOYMENT_KEY_FILE="+put(t, t.TempDir(), "key", string(key)), "KEYTURN_REPLICAS=1"))
	ingest := p.process(t, "ingest", append(common, "KEYTURN_LISTEN="+o.public, "KEYTURN_DRAIN=100ms"))
	o.env = []string{"KEYTURN_NATS_URL=nats://" + fresh.Client, "KEYTURN_CONFIG_DIR=" + o.config, "KEYTURN_DEPLOYMENT_KEY=" + string(key)}
	p.running = []*proc{worker, ingest}
	for _, one := range p.running {
		one.start(t)
	}
	p.settled(t)
	o.closed(first)
	if v, _ := o.caseOf(later); v.Plan != "scheduled" {
		t.Errorf("what was to come is %s", v.Plan)
	}
	if again := o.send(leave("hr-1", half, time.Time{})); again != first {
		t.Errorf("sent again it is case %s, was %s", again, first)
	}
	// A rehire takes back what was scheduled on the other machine: the person is known under the same key.
	o.closed(o.send(fmt.Sprintf(`{"type":"user.rehired","id":"hr-3","data":{"user":{"email":%q}}}`, future.login)))
	if v, _ := o.caseOf(later); v.Plan != "cancelled" {
		t.Errorf("what was taken back is %s", v.Plan)
	}
	o.wantOnce(0)
	if code, out, text := run(t, "keyturn", o.env, "audit", "verify"); code != 0 {
		t.Errorf("audit verify: exit code %d: %s%s", code, out, text)
	}
	for _, one := range append(p.running, server) {
		one.stop(t)
	}
}

// dial connects to a server.
func dial(t *testing.T, b broker) *nats.Conn {
	t.Helper()
	nc, err := nats.Connect("nats://" + b.Client)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc
}

// ask makes a request of the JetStream API and decodes the answer.
func ask(t *testing.T, nc *nats.Conn, subject string, query any) map[string]json.RawMessage {
	t.Helper()
	body, err := json.Marshal(query)
	if err != nil {
		t.Fatal(err)
	}
	m, err := nc.Request(subject, body, patience)
	if err != nil {
		t.Fatalf("%s: %v", subject, err)
	}
	var answer map[string]json.RawMessage
	if err := json.Unmarshal(m.Data, &answer); err != nil || answer["error"] != nil {
		t.Fatalf("%s: %s, %v", subject, answer["error"], err)
	}
	return answer
}

// backUp takes a snapshot of every stream, with its consumers.
func backUp(t *testing.T, b broker) (all []kept) {
	t.Helper()
	nc := dial(t, b)
	var names []string
	if err := json.Unmarshal(ask(t, nc, "$JS.API.STREAM.NAMES", struct{}{})["streams"], &names); err != nil || len(names) < 5 {
		t.Fatalf("streams %v, %v", names, err)
	}
	for _, name := range names {
		inbox := nats.NewInbox()
		sub, err := nc.SubscribeSync(inbox)
		if err != nil {
			t.Fatal(err)
		}
		s := kept{name: name, about: ask(t, nc, "$JS.API.STREAM.SNAPSHOT."+name, map[string]any{"deliver_subject": inbox, "jsck": true})}
		for {
			m, err := sub.NextMsg(patience)
			if err != nil {
				t.Fatalf("snapshot of %s: %v", name, err)
			}
			if len(m.Data) == 0 {
				break // the end
			}
			s.chunks = append(s.chunks, m.Data)
			if m.Reply != "" {
				if err := m.Respond(nil); err != nil { // the server sends on
					t.Fatal(err)
				}
			}
		}
		all = append(all, s)
	}
	return all
}

// restore makes the streams anew of their snapshots.
func restore(t *testing.T, b broker, all []kept) {
	t.Helper()
	nc := dial(t, b)
	for _, s := range all {
		answer := ask(t, nc, "$JS.API.STREAM.RESTORE."+s.name, map[string]any{"config": s.about["config"], "state": s.about["state"]})
		var to string
		if err := json.Unmarshal(answer["deliver_subject"], &to); err != nil {
			t.Fatal(err)
		}
		for _, chunk := range s.chunks {
			if m, err := nc.Request(to, chunk, patience); err != nil || len(m.Data) > 0 {
				t.Fatalf("restore %s: %v", s.name, err)
			}
		}
		m, err := nc.Request(to, nil, patience)
		if err != nil {
			t.Fatalf("restore %s: %v", s.name, err)
		}
		var made map[string]json.RawMessage
		if err := json.Unmarshal(m.Data, &made); err != nil || made["error"] != nil {
			t.Fatalf("restore %s: %s, %v", s.name, made["error"], err)
		}
	}
}
