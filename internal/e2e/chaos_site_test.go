//go:build !race

package e2e

import (
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"keyturn/internal/config"
	"keyturn/internal/sandbox"
	"keyturn/internal/stream/streamtest"
)

// member is a process that is ended and started again on purpose. What was ended is not tended.
type member struct {
	*proc
	down bool
}

func (m *member) start(t *testing.T) {
	t.Helper()
	if m.down {
		m.proc.start(t)
		m.down = false
	}
}

func (m *member) kill() {
	m.down = true
	m.proc.kill()
}

// stop wants an orderly end; of what is dead already nothing is wanted.
func (m *member) stop(t *testing.T) {
	t.Helper()
	if !m.down {
		m.down = true
		m.proc.stop(t)
	}
}

// node is one NATS server of the cluster, and its links to the other two.
type node struct {
	broker
	member
	routes []*link // that it begins
}

func (n *node) start(t *testing.T) {
	t.Helper()
	n.member.start(t)
}

// part is one of our processes, and its links.
type part struct {
	member
	brokers []*link // to each NATS server
	outer   *link   // of a worker that to the providers, of an intake that of the senders to it
	skew    string  // how far its clock is off; empty = not at all

	binary   string
	settings []string
}

// site is everything that runs: three NATS servers, two intakes and three workers, each a process, and every link between
// them. The providers are in this process, so that there is a witness who believes nobody.
type site struct {
	sandbox *sandbox.Sandbox
	calls   *callers
	sink    string // where secrets of created clients go
	specs   string // directory of the intakes' configuration
	skewed  func() (string, error)

	nodes   [3]*node
	intakes [2]*part
	workers [3]*part
}

// newSite makes it, with nothing running.
func newSite(t *testing.T, seed uint64) *site {
	t.Helper()
	s := &site{sandbox: sandbox.New(sandbox.Options{Seed: seed, Limits: sandbox.Unlimited()}), calls: &callers{}, sink: t.TempDir()}
	s.specs, s.skewed = intakeConfig(t), sync.OnceValues(func() (string, error) { return buildSkewed(t) })
	s.addNodes(t)
	for i := range s.intakes {
		public := streamtest.Address(t)
		p := s.part(t, fmt.Sprintf("ingest-%d", i+1), "KEYTURN_CONFIG_DIR="+s.specs, "KEYTURN_LISTEN="+public, "KEYTURN_DRAIN=100ms")
		p.outer = newLink(t, "the senders to "+p.name, public)
		s.intakes[i] = p
	}
	key := put(t, t.TempDir(), "deployment-key", "the sample key of one deployment")
	for i := range s.workers {
		provider := httptest.NewServer(s.calls.from(i, s.sandbox))
		t.Cleanup(provider.Close)
		name := fmt.Sprintf("worker-%d", i+1)
		outer := newLink(t, name+" to the providers", provider.Listener.Addr().String())
		dir, sink := workerConfig(t, "http://"+outer.at(), s.sandbox.Credentials())
		common(t, filepath.Join(dir, config.ConnectionsFile), sink, s.sink)
		p := s.part(t, name, "KEYTURN_CONFIG_DIR="+dir, "KEYTURN_DEPLOYMENT_KEY_FILE="+key)
		p.outer = outer
		s.workers[i] = p
	}
	return s
}

// common lets a configuration write secrets to the directory that all workers have in common.
func common(t *testing.T, path, sink, shared string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), sink, shared, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// storeSize is what a NATS server of the cluster stores at most, in bytes: little enough to be filled.
const storeSize = 256 << 20

// addNodes makes the NATS servers. Each reaches the two others over a link of its own.
func (s *site) addNodes(t *testing.T) {
	t.Helper()
	for i := range s.nodes {
		s.nodes[i] = &node{broker: broker{Name: fmt.Sprintf("nats-%d", i+1), Store: t.TempDir(), MaxStore: storeSize, Durable: true,
			Client: streamtest.Address(t), Monitor: streamtest.Address(t), Peers: streamtest.Address(t)}}
	}
	for _, from := range s.nodes {
		for _, to := range s.nodes {
			if from == to {
				continue
			}
			l := newLink(t, from.Name+" to "+to.Name, to.Peers)
			from.routes = append(from.routes, l)
			from.Routes = append(from.Routes, "nats-route://"+l.at())
		}
		from.member = member{proc: from.broker.proc(t, from.Name), down: true}
	}
}

// part makes one of our processes, whose name begins with that of the command.
func (s *site) part(t *testing.T, name string, settings ...string) *part {
	t.Helper()
	p := &part{}
	p.binary, _, _ = strings.Cut(name, "-")
	var urls, monitors []string
	for _, n := range s.nodes {
		l := newLink(t, name+" to "+n.Name, n.Client)
		p.brokers = append(p.brokers, l)
		urls = append(urls, "nats://"+l.at())
		monitors = append(monitors, "http://"+n.Monitor)
	}
	admin := streamtest.Address(t)
	p.settings = append(settings, "KEYTURN_ADMIN_LISTEN="+admin, "KEYTURN_NATS_URL="+strings.Join(urls, ","),
		"KEYTURN_NATS_MONITOR="+strings.Join(monitors, ","))
	p.member = member{proc: newProc(t, name, func() *exec.Cmd { return p.command(t, s) }), down: true}
	p.admin = admin
	return p
}

// command is the process's next life, with the clock that it is to have.
func (p *part) command(t *testing.T, s *site) *exec.Cmd {
	t.Helper()
	cmd := command(t, p.binary, p.settings)
	build := built
	if p.skew != "" {
		build = s.skewed
		cmd.Env = append(cmd.Env, skewEnv+"="+p.skew)
	}
	dir, err := build()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Path = filepath.Join(dir, p.binary)
	return cmd
}

// parts are all of our processes.
func (s *site) parts() []*part { return append(slices.Clone(s.intakes[:]), s.workers[:]...) }

// between are the links of two NATS servers to each other.
func (s *site) between(a, b *node) []*link {
	var both []*link
	for _, l := range append(slices.Clone(a.routes), b.routes...) {
		if l.target == a.Peers || l.target == b.Peers {
			both = append(both, l)
		}
	}
	return both
}

// tend starts again what gave up.
func (s *site) tend(t *testing.T) {
	t.Helper()
	for _, p := range s.parts() {
		if !p.down {
			p.tend(t)
		}
	}
}

// settled waits until all say that they can do their job.
func (s *site) settled(t *testing.T) {
	t.Helper()
	for _, n := range s.nodes {
		await(t, 2*patience, n.Name+" to be whole", func() bool { status, _ := get("http://" + n.Monitor + "/healthz"); return status == 200 })
	}
	for _, p := range s.parts() {
		await(t, 2*patience, p.name+" to be ready", func() bool { s.tend(t); return p.ready() })
	}
	await(t, 2*patience, "every lane to be held", func() bool { s.tend(t); return len(s.holders()) == len(laneOf) })
}

// says is what a process says of its readiness.
func (p *part) says() (status int, text string) { return get("http://" + p.admin + "/readyz?verbose") }

var heldLane = regexp.MustCompile(`(?m)^\S+ +lane (\S+?):? .*\(held, epoch \d+\)$`)

// holders are the workers that say that they hold a lane, by connection.
func (s *site) holders() map[string]*part {
	held := map[string]*part{}
	for _, w := range s.workers {
		if !w.alive() {
			continue
		}
		_, text := w.says()
		for _, m := range heldLane.FindAllStringSubmatch(text, -1) {
			held[m[1]] = w
		}
	}
	return held
}
