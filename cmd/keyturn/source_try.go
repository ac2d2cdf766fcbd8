package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"keyturn/internal/config"
	"keyturn/internal/ingest"
	"keyturn/internal/rehearsal"
)

// attempt is a delivery that a person tries.
type attempt struct {
	method  string
	query   string
	headers []string
	body    string
	at      string
	sign    bool
}

// trial is what `keyturn source try --json` prints.
type trial struct {
	ingest.Tried
	Mapping string `json:"mapping,omitempty"` // why nothing could be mapped
	Answer  string `json:"answer"`
}

func newSourceTryCmd(a *app) *cobra.Command {
	var t attempt
	cmd := &cobra.Command{
		Use:   "try PRESET|SOURCE",
		Short: "Show step by step what becomes of a delivery: proof, expressions, events, answer",
		Long: `Show what a source makes of a delivery: what was signed and which key matched, what every expression gave, the events
that would result, and the answer. Nothing is stored and nobody is called. A source of sources.yaml is tried with its
own secrets; a preset with sample secrets, so that a real signature does not match there: say --sign.`,
		Example: `  keyturn source try bamboohr --sign --header 'Content-Type: application/json' --body @delivery.json
  keyturn source try okta-event-hook --method GET --header 'X-Okta-Verification-Challenge: abc'`,
		Args: cobra.ExactArgs(1),
	}
	f := cmd.Flags()
	f.StringVar(&t.method, "method", http.MethodPost, "the `method` of the request")
	f.StringVar(&t.query, "query", "", "the `query` of the request, without its question mark")
	f.StringArrayVar(&t.headers, "header", nil, "a `header`, \"Name: value\"; may be repeated")
	f.StringVar(&t.body, "body", "", "the body: `text`, @FILE, or @- for standard input")
	f.StringVar(&t.at, "at", "", "when it comes, RFC 3339; default now")
	f.BoolVar(&t.sign, "sign", false, "sign it as the sender would, by the first secret")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		spec, err := a.tryable(args[0])
		if err != nil {
			return err
		}
		c, err := t.delivery(spec.Name, a)
		if err != nil {
			return usage(err)
		}
		out, err := try(spec, c)
		if err != nil {
			return err
		}
		return a.print(out, func(s *screen) { s.trial(out) })
	}
	return cmd
}

// tryable is a source with its own secrets, or a preset with samples.
func (a *app) tryable(name string) (ingest.SourceSpec, error) {
	if list, dir, _ := a.configured(); slices.ContainsFunc(list, func(c config.Source) bool { return c.Name == name }) {
		real, err := config.ReadSources(dir, config.Resolver{})
		if err != nil {
			return ingest.SourceSpec{}, err
		}
		c, _ := real.Find(name)
		return ingest.Configured(c), nil
	}
	if !slices.Contains(config.Presets(), name) {
		return ingest.SourceSpec{}, notFound(fmt.Errorf("source %s: there is neither a source nor a preset of that name; keyturn source list shows them", name))
	}
	c, err := sampleOf(name)
	return ingest.Configured(c), err
}

// delivery makes the request of what the command line says.
func (t attempt) delivery(source string, a *app) (rehearsal.Case, error) {
	c := rehearsal.Case{Method: t.method, Path: "/hooks/" + source, Header: http.Header{}, At: a.now(), Unsigned: !t.sign}
	if t.query != "" {
		c.Path += "?" + t.query
	}
	for _, h := range t.headers {
		name, value, ok := strings.Cut(h, ":")
		if !ok {
			return c, fmt.Errorf("--header %q: write it as \"Name: value\"", name)
		}
		c.Header.Add(textproto.TrimString(name), textproto.TrimString(value))
	}
	var err error
	if t.at != "" {
		if c.At, err = time.Parse(time.RFC3339, t.at); err != nil {
			return c, fmt.Errorf("--at: write a time such as 2026-12-01T17:00:00Z")
		}
	}
	switch file, isFile := strings.CutPrefix(t.body, "@"); {
	case isFile && file == "-":
		c.Body, err = io.ReadAll(io.LimitReader(a.in, ingest.MaxBody+1))
	case isFile:
		c.Body, err = os.ReadFile(file)
	default:
		c.Body = []byte(t.body)
	}
	return c, err
}

// try shows the delivery to the source, and then has the handler answer it.
func try(spec ingest.SourceSpec, c rehearsal.Case) (trial, error) {
	source, err := ingest.NewSource(spec)
	if err != nil {
		return trial{}, err
	}
	req, err := c.Request(spec)
	if err != nil {
		return trial{}, err
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return trial{}, fmt.Errorf("read the delivery: %w", err)
	}
	var out trial
	d := ingest.Delivery{Received: c.At, Method: req.Method, URL: req.URL, Header: req.Header, Body: body, Remote: req.RemoteAddr}
	if out.Tried, err = source.Try(d); err != nil {
		out.Mapping = err.Error()
	}
	o, err := rehearsal.Run(spec, c)
	if err != nil {
		return out, err
	}
	answer, _, _ := strings.Cut(strings.TrimPrefix(o.String(), "-- answer --\n"), "\n-- ")
	out.Answer = strings.TrimSpace(answer)
	return out, nil
}

// trial shows the steps in their order.
func (s *screen) trial(t trial) {
	if t.Handshake {
		s.line("handshake", "it is answered, and makes no event")
	}
	for _, step := range t.Proof {
		mark := "yes"
		if !step.OK {
			mark = "NO"
		}
		s.line("proof", "%s: %s: %s", mark, step.What, step.Detail)
	}
	if t.Refused != "" {
		s.line("refused", "%s; what follows shows what would become of it otherwise", t.Refused)
	}
	item := -1
	for _, v := range t.Values {
		if v.Item != item {
			item = v.Item
			s.line("item", "%s", strconv.Itoa(item))
		}
		s.value(v)
	}
	if t.Mapping != "" {
		s.line("mapping", "%s", t.Mapping)
	}
	for _, f := range t.Faults {
		s.line("fault", "%s", f)
	}
	s.line("items", "%d, of these %d with a word that is not known and %d known to make no event", t.Items, t.Unknown, t.Skipped)
	for _, e := range t.Events {
		b, _ := json.Marshal(e)
		s.line("event", "%s", string(b))
	}
	for _, line := range strings.Split(t.Answer, "\n") {
		s.line("answer", "%s", line)
	}
}

// value shows what an expression gave.
func (s *screen) value(v ingest.Value) {
	if v.Error != "" {
		s.indented("  ", v.Name, "%s", v.Error)
		return
	}
	b, _ := json.Marshal(v.Value)
	text := string(b)
	if r := []rune(text); len(r) > 120 {
		text = string(r[:120]) + "…"
	}
	s.indented("  ", v.Name, "%s", text)
}
