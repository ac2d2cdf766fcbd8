package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// brokerEnv makes this binary a NATS server, with the settings that it holds.
const brokerEnv = "E2E_NATS_SERVER"

// broker is a NATS server of its own, as an operator runs one.
type broker struct {
	Store   string `json:"store"`
	Client  string `json:"client"`  // address for clients
	Monitor string `json:"monitor"` // address of the monitoring port
	Durable bool   `json:"durable"` // sync_interval: always
}

// newBroker makes a NATS server over a store of its own, before its first life.
func newBroker(t *testing.T, durable bool) (broker, *proc) {
	t.Helper()
	b := broker{Store: t.TempDir(), Client: address(t), Monitor: address(t), Durable: durable}
	settings, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return b, newProc(t, "nats", func() *exec.Cmd {
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

func (b broker) serve() error {
	client, err := net.ResolveTCPAddr("tcp", b.Client)
	if err != nil {
		return err
	}
	monitor, err := net.ResolveTCPAddr("tcp", b.Monitor)
	if err != nil {
		return err
	}
	s, err := server.NewServer(&server.Options{
		ServerName: "nats-1", Host: client.IP.String(), Port: client.Port, HTTPHost: monitor.IP.String(), HTTPPort: monitor.Port,
		JetStream: true, StoreDir: b.Store, JetStreamMaxStore: 16 << 30, SyncAlways: b.Durable, NoSigs: true,
	})
	if err != nil {
		return err
	}
	s.ConfigureLogger()
	s.Start()
	if !s.ReadyForConnections(time.Minute) {
		return fmt.Errorf("not ready on port %s", strconv.Itoa(client.Port))
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
