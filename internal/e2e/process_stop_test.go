package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"keyturn/internal/config"
	"keyturn/internal/sandbox"
	"keyturn/internal/stream/streamtest"
)

// shop is a NATS server, an intake and providers that may be slow. Workers are started by the tests.
type shop struct {
	sandbox *sandbox.Sandbox
	broker  broker
	nats    *proc
	sender  *sender
	sources string // configuration of the intake
	config  string // and of the workers
	common  []string
	people  []colleague

	pace   atomic.Int64  // what each call to a provider takes, in nanoseconds; below 0: it never comes back
	inCall counter       // calls to providers
	free   chan struct{} // closed at the end of the test: what hangs ends
}

// newShop starts the NATS server. Nothing else runs yet.
func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{sandbox: sandbox.New(sandbox.Options{Limits: sandbox.Unlimited()}), free: make(chan struct{})}
	for i := range 24 {
		p := colleague{login: fmt.Sprintf("lou.%03d@acme.example", i), name: fmt.Sprintf("lou.%03d", i)}
		p.hosts = []string{p.name + "-0"}
		s.sandbox.AddASAUser(sandbox.ASAUserSpec{Name: p.name, Email: p.login})
		p.devices = []string{s.sandbox.AddASAClient(sandbox.ASAClientSpec{UserName: p.name, Hostname: p.hosts[0]})}
		s.people = append(s.people, p)
	}
	provider := httptest.NewServer(s)
	t.Cleanup(provider.Close)
	t.Cleanup(func() { close(s.free) })
	s.broker, s.nats = newBroker(t, true)
	s.broker.start(t, s.nats)
	s.common = []string{"KEYTURN_NATS_URL=nats://" + s.broker.Client, "KEYTURN_NATS_ASSERT_DURABLE=true"}
	s.sources = intakeConfig(t)
	s.config, _ = workerConfig(t, provider.URL, s.sandbox.Credentials())
	s.sender = &sender{specs: signers(t, s.sources), cases: map[string]map[string]bool{}}
	return s
}

// ServeHTTP answers for the providers, at the pace of the moment.
func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.Contains(r.URL.Path, "token") { // a credential is nobody's work
		s.inCall.tick()
		var done <-chan time.Time
		if pace := time.Duration(s.pace.Load()); pace >= 0 {
			done = time.After(pace)
		}
		select {
		case <-done:
		case <-r.Context().Done():
			return // its caller is gone: it has no effect
		case <-s.free:
		}
	}
	s.sandbox.ServeHTTP(w, r)
}

// process makes a process of one of our commands, and starts it.
func (s *shop) process(t *testing.T, name string, settings ...string) *proc {
	t.Helper()
	admin := streamtest.Address(t)
	binary, _, _ := strings.Cut(name, "-")
	p := newProc(t, name, func() *exec.Cmd {
		return command(t, binary, append(append(slices.Clone(s.common), settings...), "KEYTURN_ADMIN_LISTEN="+admin))
	})
	p.admin = admin
	p.start(t)
	return p
}

func (s *shop) worker(t *testing.T, name string) *proc {
	t.Helper()
	return s.process(t, name, "KEYTURN_CONFIG_DIR="+s.config, "KEYTURN_REPLICAS=1", "KEYTURN_DEPLOYMENT_KEY=a sample key of one deployment")
}

// intake starts the intake, and points the sender to it.
func (s *shop) intake(t *testing.T) *proc {
	t.Helper()
	public := streamtest.Address(t)
	p := s.process(t, "ingest", "KEYTURN_CONFIG_DIR="+s.sources, "KEYTURN_LISTEN="+public, "KEYTURN_DRAIN=0s")
	s.sender.url = "http://" + public
	await(t, patience, "the intake to be ready", p.ready)
	return p
}

// lose sends that everybody has lost the device, and waits until all of it is accepted.
func (s *shop) lose(t *testing.T) {
	t.Helper()
	queue := make(chan delivery, len(s.people))
	for i, p := range s.people {
		queue <- delivery{source: "siem", event: fmt.Sprint("lost-", i), body: fmt.Appendf(nil,
			`{"specversion":"1.0","id":"lost-%d","source":"https://siem.acme.example","type":"dev.keyturn.device.lost.v1",`+
				`"data":{"device":{"hostname":%q},"user":{"email":%q}}}`, i, p.hosts[0], p.login)}
	}
	close(queue)
	s.sender.run(t, queue, 4)()
}

// lanesOf counts the lanes that a worker holds.
func lanesOf(p *proc) int {
	_, text := get("http://" + p.admin + "/readyz?verbose")
	return strings.Count(text, "(held, epoch ")
}

// done wants everybody's device gone, by one effect each.
func (s *shop) done(t *testing.T) {
	t.Helper()
	gone := func() int {
		n := 0
		for _, d := range s.sandbox.Snapshot().ASA.Clients {
			if d.State == sandbox.ASADeleted {
				n++
			}
		}
		return n
	}
	await(t, patience, "every device to be revoked", func() bool { return gone() == len(s.people) })
	count := map[string]int{}
	for _, effect := range s.sandbox.Journal().Effects() {
		if count[effect]++; count[effect] > 1 {
			t.Errorf("%d times: %s", count[effect], effect)
		}
	}
}

// busy waits until so many more calls to providers have begun.
func (s *shop) busy(t *testing.T, calls int) {
	t.Helper()
	reached, over := s.inCall.arm(calls)
	defer over()
	select {
	case <-reached:
	case <-time.After(patience):
		t.Fatalf("the workers never made %d calls", calls)
	}
}

// halt tells a process to stop, wants an orderly end within the limit, and gives how long it took.
func halt(t *testing.T, p *proc, limit time.Duration) time.Duration {
	t.Helper()
	began := time.Now()
	p.stop(t)
	took := time.Since(began)
	if took > limit {
		t.Errorf("%s took %s to stop, more than %s", p.name, took.Round(time.Millisecond), limit)
	}
	t.Logf("%s stopped within %s", p.name, took.Round(time.Millisecond))
	return took
}

// TestStop stops processes in the middle of things. All of it waits for clocks more than for a processor.
func TestStop(t *testing.T) {
	t.Parallel()
	if _, err := built(); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]func(*testing.T){
		"a slow provider": stopAtSlowProvider, "a provider that hangs": stopAtHangingProvider,
		"a broker that died": stopWithoutBroker, "a broker that froze": stopWithFrozenBroker,
		"serve": stopServe,
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t) })
	}
}

// stopAtSlowProvider: the calls that are out come to their end, the rest is given back, and another worker goes on at
// once.
func stopAtSlowProvider(t *testing.T) {
	s := newShop(t)
	s.pace.Store(int64(300 * time.Millisecond))
	first := s.worker(t, "worker-1")
	await(t, patience, "the first worker to hold every lane", func() bool { return lanesOf(first) == 3 })
	next := s.worker(t, "worker-2")
	await(t, patience, "the other worker to be ready", next.ready)
	s.intake(t)
	s.lose(t)
	s.busy(t, 4)
	halt(t, first, stopLimit/2)
	s.takeOver(t, next)
	s.pace.Store(0)
	s.done(t)
}

// takeOver wants every lane held by another worker at once: the leases were given back.
func (s *shop) takeOver(t *testing.T, heir *proc) {
	t.Helper()
	began := time.Now()
	await(t, 5*time.Second, heir.name+" to hold every lane", func() bool { return lanesOf(heir) == 3 })
	t.Logf("%s held every lane %s later", heir.name, time.Since(began).Round(time.Millisecond))
}

// stopAtHangingProvider: a call that does not come back is cut off.
func stopAtHangingProvider(t *testing.T) {
	s := newShop(t)
	s.pace.Store(-1)
	first := s.worker(t, "worker-1")
	await(t, patience, "the first worker to hold every lane", func() bool { return lanesOf(first) == 3 })
	next := s.worker(t, "worker-2")
	await(t, patience, "the other worker to be ready", next.ready)
	s.intake(t)
	s.lose(t)
	s.busy(t, 1)
	halt(t, first, stopLimit)
	s.pace.Store(0)
	s.takeOver(t, next)
	s.done(t)
}

// newBusyShop has one worker with every lane, in the middle of slow calls, and an intake.
func newBusyShop(t *testing.T) (s *shop, worker, intake *proc) {
	t.Helper()
	s = newShop(t)
	s.pace.Store(int64(300 * time.Millisecond))
	worker = s.worker(t, "worker-1")
	await(t, patience, "the worker to hold every lane", func() bool { return lanesOf(worker) == 3 })
	intake = s.intake(t)
	s.lose(t)
	s.busy(t, 4)
	return s, worker, intake
}

// stopWithoutBroker: what cannot be said to anybody does not hold the stop up.
func stopWithoutBroker(t *testing.T) {
	s, first, intake := newBusyShop(t)
	s.nats.kill()
	halt(t, first, stopLimit/2)
	halt(t, intake, stopLimit/2)
	s.pace.Store(0)
	s.broker.start(t, s.nats)
	s.worker(t, "worker-2")
	s.done(t)
}

// stopWithFrozenBroker: nor does a broker that takes what is said and never answers.
func stopWithFrozenBroker(t *testing.T) {
	s, first, intake := newBusyShop(t)
	freeze(t, s.nats, syscall.SIGSTOP)
	halt(t, first, stopLimit)
	halt(t, intake, stopLimit/2)
	s.pace.Store(0)
	freeze(t, s.nats, syscall.SIGCONT)
	s.worker(t, "worker-2")
	s.done(t)
}

func freeze(t *testing.T, p *proc, sig syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// stopServe: the one-machine mode stops in the middle of slow calls, and its next life does the rest.
func stopServe(t *testing.T) {
	s := newShop(t)
	s.pace.Store(int64(300 * time.Millisecond))
	for _, name := range []string{config.ConnectionsFile, config.PlaybooksFile} {
		put(t, s.sources, name, fileOf(t, s.config, name))
	}
	for _, name := range []string{"okta.pem", "asa.secret", "mosaic.secret"} {
		put(t, s.sources, name, fileOf(t, s.config, name))
	}
	public, admin, store := streamtest.Address(t), streamtest.Address(t), filepath.Join(t.TempDir(), "store")
	p := newProc(t, "serve", func() *exec.Cmd {
		return command(t, "keyturn", []string{"KEYTURN_CONFIG_DIR=" + s.sources, "KEYTURN_LISTEN=" + public, "KEYTURN_ADMIN_LISTEN=" + admin,
			"KEYTURN_STORE=" + store, "KEYTURN_STORE_MAX_BYTES=1GiB"}, "serve")
	})
	p.admin = admin
	p.start(t)
	await(t, patience, "serve to be ready", p.ready)
	s.sender.url = "http://" + public
	s.lose(t)
	s.busy(t, 4)
	halt(t, p, stopLimit/2)
	s.pace.Store(0)
	p.start(t)
	s.done(t)
	halt(t, p, stopLimit/2)
}

// fileOf gives the content of a file.
func fileOf(t *testing.T, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
