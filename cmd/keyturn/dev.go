package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"golang.org/x/term"

	"keyturn/internal/config"
	"keyturn/internal/ingest"
	"keyturn/internal/process"
	"keyturn/internal/sandbox"
)

const (
	// devStaff is how many further people the sample company has.
	devStaff = 30
	// devSource signs without a time, so that a printed curl stays good for as long as the store lives.
	devSource = "siem"
)

// newDevCmd is serve with the sandbox in place of real providers.
func newDevCmd(a *app) *cobra.Command {
	var sandboxAddr string
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run everything on this machine against the sandbox, with a sample configuration",
		Long: "Run everything in one process, with the sandbox of the three providers and a sample configuration that is\n" +
			"written to <store>/config and yours to change while it runs. The store is kept between runs; the sandbox begins anew.\n" +
			"Not for production: the sandbox's credentials are no secrets.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.dev(cmd.Context(), sandboxAddr) },
	}
	cmd.Flags().StringVar(&sandboxAddr, "sandbox", "", "address of the sandbox (default 127.0.0.1 with a free port)")
	return cmd
}

// dev runs until ctx ends.
func (a *app) dev(ctx context.Context, sandboxAddr string) (err error) {
	settings, err := config.LocalFromEnv()
	if err != nil {
		return usage(err)
	}
	if err := ownBroker(settings); err != nil {
		return err
	}
	if settings.TLS != (config.PublicTLS{}) {
		return usage(errors.New("KEYTURN_TLS_… is for serve: dev sends to itself without TLS, unset it"))
	}
	sb, err := sandbox.New(sandbox.Options{JournalSize: 10_000}).Listen(sandboxAddr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sb.Close()) }()
	acme := sb.SeedAcme(devStaff)
	settings.Log.Format = config.PlainText
	log := process.Logger(settings.Log, a.err)
	defer process.Deadline(ctx, settings.Shutdown, log)()
	o := a.localOptions(settings, machineOptions{ConfigDir: settings.ConfigDir, Log: log})
	if o.ConfigDir == "" {
		o.ConfigDir = filepath.Join(o.Store, "config")
		if err := writeSample(o.ConfigDir, sb.URL, sb.Credentials(), 0); err != nil {
			return err
		}
	}
	if f, ok := a.in.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		o.Hangup = process.Hangup(ctx) // at a terminal it is what ends dev when the window is closed
	}
	m, err := newMachine(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.close()) }()
	// The store outlives the sandbox: the event's id must be new in each run, or it would be an event of the last one.
	curl, err := m.curl(devEvent(acme, fmt.Sprintf("siem-%d", a.now().UnixMilli())))
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return m.run(ctx) })
	a.devBanner(o, m, sb.URL, curl)
	return g.Wait()
}

// devEvent is the sample person's account being in other hands.
func devEvent(acme sandbox.Acme, id string) scene {
	return scene{
		source: devSource, id: id, kind: "user.compromised",
		data: object{"user": personOf(acme.Leaver), "reason": "token seen on a paste site"},
	}
}

// devBanner says where everything is.
func (a *app) devBanner(o machineOptions, m *machine, sandboxURL, curl string) {
	tool := "keyturn"
	if strings.Contains(os.Args[0], "go-build") {
		tool = "go run ./cmd/keyturn"
	}
	if o.Store != defaultStore {
		tool += " --store " + o.Store
	}
	_, _ = fmt.Fprintf(a.out, `keyturn dev: the whole of it on this machine, against the sandbox (not for production)

  webhooks       %s/hooks/<source>
  health         %s/readyz?verbose
  sandbox        %s/_sandbox/state
  configuration  %s
  store          %s (durability %s)

Send a signed event:

%s

and see what becomes of it:

  %s cases
  %s case <the id that curl printed>

Interrupt to stop.
`, m.URL(), m.AdminURL(), sandboxURL, o.ConfigDir, o.Store, m.bus.Durability(), curl, tool, tool)
}

// defaultStore is where the tool looks for a store by itself.
const defaultStore = ".keyturn"

// curl is a command line that delivers the scene, signed.
func (m *machine) curl(s scene) (string, error) {
	var event object
	body, err := s.event(time.Now())
	if err == nil {
		err = json.Unmarshal(body, &event)
	}
	if err != nil {
		return "", err
	}
	req, err := m.request(s, body)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "  curl -sS %s", req.URL)
	for name := range req.Header {
		fmt.Fprintf(&b, " \\\n    -H '%s: %s'", name, req.Header.Get(name))
	}
	fmt.Fprintf(&b, " \\\n    -d '%s'", strings.ReplaceAll(string(body), "'", `'\''`))
	return b.String(), nil
}

// request is the signed delivery of a body, as the scene's source sends it.
func (m *machine) request(s scene, body []byte) (*http.Request, error) {
	source, ok := config.Sources(m.sources).Find(s.source)
	if !ok {
		return nil, fmt.Errorf("source %s: not in the configuration", s.source)
	}
	target, err := url.JoinPath(m.URL(), "hooks", s.source)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequest(http.MethodPost, target, strings.NewReader(string(body)))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", s.contentType())
	return req, ingest.Sign(ingest.Configured(source), req, body, s.id, time.Now())
}
