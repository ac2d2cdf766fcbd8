package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"keyturn/internal/stream/streamtest"
)

// brokerEnv makes this binary a NATS server, with the settings that it holds.
const brokerEnv = "E2E_NATS_SERVER"

// broker is a NATS server of its own, as an operator runs one.
type broker struct {
	Store    string `json:"store"`
	MaxStore int64  `json:"max_store"` // bytes; 0 = more than any test needs
	Client   string `json:"client"`    // address for clients
	Monitor  string `json:"monitor"`   // address of the monitoring port
	Durable  bool   `json:"durable"`   // sync_interval: always

	Name   string   `json:"name"`   // of a server of a cluster, as the rest
	Peers  string   `json:"peers"`  // address for the other servers; empty = no cluster
	Routes []string `json:"routes"` // where the others are reached

}

// newBroker makes a NATS server over a store of its own, before its first life.
func newBroker(t *testing.T, durable bool) (broker, *proc) {
	t.Helper()
	b := broker{Name: "nats-1", Store: t.TempDir(), Client: streamtest.Address(t), Monitor: streamtest.Address(t), Durable: durable}
	return b, b.proc(t, "nats")
}

// proc makes the process of a server, before its first life. Each life has the settings of its moment.
func (b *broker) proc(t *testing.T, name string) *proc {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return newProc(t, name, func() *exec.Cmd {
		settings, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), brokerEnv+"="+string(settings))
		return cmd
	})
}

// start begins a life and waits until the server takes connections.
func (b broker) start(t *testing.T, p *proc) {
	t.Helper()
	p.start(t)
	await(t, patience, "the NATS server", func() bool {
		status, _ := get("http://" + b.Monitor + "/healthz")
		return status == 200
	})
}

// brokerMain is the server's process: it serves until it is told to stop, or until whoever started it is gone.
func brokerMain(settings string) int {
	var b broker
	err := json.Unmarshal([]byte(settings), &b)
	if err == nil {
		err = b.serve()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "nats:", err)
		return 1
	}
	return 0
}

// options are the server's own. A server of a cluster tells nobody where it and its clients are: everybody stays on the
// links that they were given.
func (b broker) options() (*server.Options, error) {
	opts := &server.Options{ServerName: b.Name, JetStream: true, StoreDir: b.Store, JetStreamMaxStore: 16 << 30, SyncAlways: b.Durable, NoSigs: true}
	if b.MaxStore > 0 {
		opts.JetStreamMaxStore = b.MaxStore
	}
	client, cerr := net.ResolveTCPAddr("tcp", b.Client)
	monitor, merr := net.ResolveTCPAddr("tcp", b.Monitor)
	if err := errors.Join(cerr, merr); err != nil {
		return nil, err
	}
	opts.Host, opts.Port = client.IP.String(), client.Port
	opts.HTTPHost, opts.HTTPPort = monitor.IP.String(), monitor.Port
	if b.Peers == "" {
		return opts, nil
	}
	peers, err := net.ResolveTCPAddr("tcp", b.Peers)
	if err != nil {
		return nil, err
	}
	opts.Cluster = server.ClusterOpts{Name: "acme", Host: peers.IP.String(), Port: peers.Port, NoAdvertise: true,
		Advertise: "127.0.0.1:1"} // where nobody listens
	opts.Routes = server.RoutesFromStr(strings.Join(b.Routes, ","))
	return opts, nil
}

func (b broker) serve() error {
	opts, err := b.options()
	if err != nil {
		return err
	}
	s, err := server.NewServer(opts)
	if err != nil {
		return err
	}
	s.ConfigureLogger()
	s.Start()
	if !s.ReadyForConnections(time.Minute) {
		return fmt.Errorf("not ready at %s", b.Client)
	}
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM)
	alone := make(chan struct{})
	go func() {
		defer close(alone)
		_, _ = io.Copy(io.Discard, os.Stdin)
	}()
	select {
	case <-told:
	case <-alone:
	}
	s.Shutdown()
	s.WaitForShutdown()
	return nil
}
