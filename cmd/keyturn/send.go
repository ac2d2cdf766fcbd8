package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"keyturn/internal/config"
	"keyturn/internal/ingest"
	"keyturn/internal/secret"
)

// newSendCmd makes `keyturn send`.
func newSendCmd(a *app) *cobra.Command {
	var d delivery
	cmd := &cobra.Command{
		Use:   "send FILE --source NAME",
		Short: "Sign an event as a source does, and post it",
		Long: `Sign an event as the source's sender would, post it to the intake, and print the cases that it opened.

FILE (- for standard input) holds a CloudEvent in JSON, an array of them, or the short form
  {"type": "user.terminated", "id": "hr-1", "data": {"user": {"email": "maria@acme.example"}}}
where everything but type and id may be left out: without "data", what else stands there is the data; without an id
one is made up, and a second send is another event.

The secret comes from sources.yaml in KEYTURN_CONFIG_DIR (else in <store>/config), or from the variable that --secret-env names (then signed by
Standard Webhooks). Exit code 4 means that nothing was stored, or that it is not known: send the same file again, the
same event is one case however often it comes.`,
		Example: "  keyturn send leaver.json --source hr-relay",
		Args:    cobra.ExactArgs(1),
	}
	flags := cmd.Flags()
	flags.StringVarP(&d.source, "source", "s", "", "name of the source in sources.yaml (required)")
	flags.StringVar(&d.url, "url", "", "address of the intake (default http://KEYTURN_LISTEN)")
	flags.StringVar(&d.secretEnv, "secret-env", "", "environment variable with the source's Standard Webhooks secret")
	flags.DurationVar(&d.timeout, "timeout", 30*time.Second, "how long to wait for the answer")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if d.source == "" {
			return usage(errors.New("send: say --source NAME"))
		}
		return a.send(cmd.Context(), args[0], d)
	}
	return cmd
}

// delivery says where and as whom an event is sent.
type delivery struct {
	source, url, secretEnv string
	timeout                time.Duration
}

// sent is what `keyturn send --json` prints.
type sent struct {
	Source string   `json:"source"`
	Events int      `json:"events"` // how many were sent
	Cases  []string `json:"cases"`  // the cases that they are, in their order
}

// send does the whole of it.
func (a *app) send(ctx context.Context, file string, d delivery) error {
	settings, err := config.ToolFromEnv()
	if err != nil {
		return err
	}
	dir := settings.ConfigDir
	if dir == "" {
		dir = filepath.Join(cmp.Or(a.place.store, settings.Store), "config") // where keyturn dev writes its sample
	}
	spec, err := d.spec(dir)
	if err != nil {
		return err
	}
	text, err := a.read(file)
	if err != nil {
		return err
	}
	p, err := readPosted(text, a.now(), a.actor())
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for _, id := range p.madeUp {
		a.note("the event has no id; sent as %s", id)
	}
	if d.url == "" {
		d.url = "http://" + settings.Listen
		if settings.TLS.Cert != "" {
			d.url = "https://" + settings.Listen
		}
	}
	cases, err := a.post(ctx, spec, d, p)
	if err != nil {
		return err
	}
	return a.print(sent{Source: d.source, Events: p.events, Cases: cases}, func(s *screen) {
		for _, id := range cases {
			_, _ = fmt.Fprintln(s, clean(id))
		}
		a.note("accepted: on disk. See keyturn case %s --watch", strings.Join(cases[:min(1, len(cases))], ""))
	})
}

// spec finds out how the source signs.
func (d delivery) spec(configDir string) (ingest.SourceSpec, error) {
	if d.secretEnv != "" {
		v := os.Getenv(d.secretEnv)
		if v == "" {
			return ingest.SourceSpec{}, usage(fmt.Errorf("--secret-env: environment variable %s is not set", d.secretEnv))
		}
		verify := ingest.VerifySpec{StandardWebhooks: &ingest.StandardWebhooksSpec{Secrets: []secret.Value{secret.New(v)}}}
		return ingest.SourceSpec{Name: d.source, Preset: "cloudevents", Verify: verify}, nil
	}
	if _, err := os.Stat(filepath.Join(configDir, config.SourcesFile)); err != nil {
		return ingest.SourceSpec{}, usage(fmt.Errorf("send: set KEYTURN_CONFIG_DIR to the directory with sources.yaml, or say --secret-env: %w", err))
	}
	sources, err := config.ReadSources(configDir, config.Resolver{})
	if err != nil {
		return ingest.SourceSpec{}, err
	}
	s, ok := sources.Find(d.source)
	if !ok {
		return ingest.SourceSpec{}, notFound(fmt.Errorf("source %s: not in %s", d.source, configDir))
	}
	return ingest.Configured(s), nil
}

// read reads a file, or standard input for "-".
func (a *app) read(file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(a.in)
	}
	return os.ReadFile(file)
}

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 1 << 20

// post signs and posts, and reads the answer.
func (a *app) post(ctx context.Context, spec ingest.SourceSpec, d delivery, p posted) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	target := strings.TrimSuffix(d.url, "/") + "/hooks/" + spec.Name
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(p.body))
	if err != nil {
		return nil, usage(fmt.Errorf("--url: %w", err))
	}
	req.Header.Set("Content-Type", p.contentType)
	if err := ingest.Sign(spec, req, p.body, messageID(p.body), a.now()); err != nil {
		return nil, err
	}
	// What proves the sender is meant for the intake: it is never carried elsewhere.
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // the address may hold the token that proves the sender
	}
	if err != nil {
		return nil, unavailable(fmt.Errorf("send: no answer from %s: %w", req.URL.Host, err))
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, unavailable(fmt.Errorf("send: read the answer: %w", err))
	}
	return readAnswer(resp, answer)
}

// messageID names a delivery; the same body has the same one.
func messageID(body []byte) string {
	sum := sha256.Sum256(body)
	return "msg_" + hex.EncodeToString(sum[:12])
}

// readAnswer gives the cases of a 202, or says why there are none.
func readAnswer(resp *http.Response, answer []byte) ([]string, error) {
	switch {
	case resp.StatusCode == http.StatusAccepted:
		var ok struct {
			Cases []string `json:"cases"`
		}
		if err := json.Unmarshal(answer, &ok); err != nil {
			return nil, fmt.Errorf("send: the answer cannot be read: %w", err)
		}
		return ok.Cases, nil
	case resp.StatusCode == http.StatusServiceUnavailable, resp.StatusCode == http.StatusTooManyRequests:
		again := ""
		if after := resp.Header.Get("Retry-After"); after != "" {
			again = ", try again in " + after + " s"
		}
		return nil, unavailable(fmt.Errorf("send: %s%s%s", resp.Status, again, problem(answer)))
	case resp.StatusCode/100 == 3:
		return nil, fmt.Errorf("send: answered %s: give --url the address of the intake itself, which leads nowhere else", resp.Status)
	}
	return nil, fmt.Errorf("send: refused: %s%s", resp.Status, problem(answer))
}

// problem puts what a refusal says (RFC 9457, problem details) behind a line end.
func problem(answer []byte) string {
	var p map[string]any
	if json.Unmarshal(answer, &p) != nil {
		return ""
	}
	for _, known := range []string{"type", "title", "status"} {
		delete(p, known)
	}
	detail, _ := p["detail"].(string)
	delete(p, "detail")
	var b strings.Builder
	if detail != "" {
		b.WriteString(": " + detail)
	}
	if len(p) > 0 {
		rest, _ := json.MarshalIndent(p, "", "  ") // was JSON a moment ago
		b.WriteString("\n" + string(rest))
	}
	return b.String()
}
