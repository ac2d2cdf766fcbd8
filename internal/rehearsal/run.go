package rehearsal

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"keyturn/internal/config"
	"keyturn/internal/events"
	"keyturn/internal/ingest"
)

// Outcome is what a delivery gave.
type Outcome struct {
	Status int
	Header http.Header
	Body   []byte
	Events []events.Event
	Fault  *events.Fault
	Counts map[string]int // what made no event: "unknown", "skipped", "handshake"
}

// kept is a publisher that keeps what it is given.
type kept struct{ Outcome }

func (k *kept) PublishEvents(_ context.Context, list []events.Event) error {
	k.Events = append(k.Events, list...)
	return nil
}

func (k *kept) PublishFault(_ context.Context, f events.Fault) error {
	k.Fault = &f
	return nil
}

// Run plays a case through a source.
func Run(spec ingest.SourceSpec, c Case) (Outcome, error) {
	source, err := ingest.NewSource(spec)
	if err != nil {
		return Outcome{}, err
	}
	return play(source, spec, c)
}

// play plays a case through a source that was made of a spec.
func play(source *ingest.Source, spec ingest.SourceSpec, c Case) (Outcome, error) {
	if takesSET(spec.Verify) {
		return runSET(source, spec, c)
	}
	return run(source, spec, c)
}

// run plays a case through a source, whose deliveries are signed as a spec says.
func run(source *ingest.Source, spec ingest.SourceSpec, c Case) (Outcome, error) {
	var k kept
	reg := prometheus.NewRegistry()
	h, err := ingest.NewHandler(ingest.Options{
		Sources: []*ingest.Source{source}, Publisher: &k, Log: slog.New(slog.DiscardHandler),
		Metrics: reg, Now: func() time.Time { return c.At },
	})
	if err != nil {
		return Outcome{}, err
	}
	req, err := c.Request(spec)
	if err != nil {
		return Outcome{}, err
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, req)
	k.Status, k.Header, k.Body = rec.Code, rec.Header(), rec.Body.Bytes()
	k.Counts, err = counts(reg)
	return k.Outcome, err
}

// counts reads what the handler counted.
func counts(reg *prometheus.Registry) (map[string]int, error) {
	families, err := reg.Gather()
	if err != nil {
		return nil, err
	}
	found := map[string]int{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			n := int(m.GetCounter().GetValue())
			switch {
			case n == 0:
			case f.GetName() == ingest.MetricHandshakes:
				found["handshake"] += n
			case f.GetName() == ingest.MetricUnmapped:
				for _, l := range m.GetLabel() {
					if l.GetName() == "why" && l.GetValue() != "fault" {
						found[l.GetValue()] += n
					}
				}
			}
		}
	}
	return found, nil
}

// Request is the delivery, signed unless the case says otherwise.
func (c Case) Request(spec ingest.SourceSpec) (*http.Request, error) {
	body := []byte(samples(string(c.Body)))
	req := httptest.NewRequest(c.Method, samples(c.Path), bytes.NewReader(body))
	for name, values := range c.Header {
		for _, v := range values {
			req.Header.Add(name, samples(v))
		}
	}
	if c.Unsigned {
		return req, nil
	}
	return req, ingest.Sign(spec, req, body, "rehearsal", c.At)
}

var sampleRef = regexp.MustCompile(`\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}`)

// samples writes the sample secrets into a text that refers to them.
func samples(text string) string {
	return sampleRef.ReplaceAllStringFunc(text, func(ref string) string {
		return config.Sample(sampleRef.FindStringSubmatch(ref)[1])
	})
}

// unsaid are the headers of an answer that are always the same.
var unsaid = []string{"Content-Type", "Cache-Control", "X-Content-Type-Options"}

// String writes an outcome as a case has it.
func (o Outcome) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "-- %s --\n%s\n", sectionAnswer, strings.TrimSpace(fmt.Sprintf("%d %s", o.Status, o.Header.Get("Content-Type"))))
	for _, name := range slices.Sorted(maps.Keys(o.Header)) {
		if !slices.Contains(unsaid, name) {
			fmt.Fprintf(&b, "%s: %s\n", name, strings.Join(o.Header[name], ", "))
		}
	}
	if len(o.Body) > 0 {
		b.WriteString(strings.TrimRight(string(o.Body), "\n") + "\n")
	}
	if len(o.Counts) > 0 {
		fmt.Fprintf(&b, "-- %s --\n", sectionCounted)
		for _, what := range slices.Sorted(maps.Keys(o.Counts)) {
			fmt.Fprintf(&b, "%s: %d\n", what, o.Counts[what])
		}
	}
	if len(o.Events) > 0 {
		fmt.Fprintf(&b, "-- %s --\n", sectionEvents)
		for _, e := range o.Events {
			b.WriteString(indent(e))
		}
	}
	if o.Fault != nil {
		fmt.Fprintf(&b, "-- %s --\n%s\n", sectionFault, o.Fault.Error)
		if o.Fault.Body != nil {
			b.WriteString(indent(o.Fault.Body))
		}
	}
	return b.String()
}

func indent(v any) string {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err.Error() + "\n"
	}
	return string(b) + "\n"
}

// Text is the case with another outcome: what a test writes when it is told to.
func (c Case) Text(o Outcome) string {
	return strings.TrimRight(c.input, "\n") + "\n" + o.String()
}

// Matches reports whether an outcome is what the case wants.
func (c Case) Matches(o Outcome) bool { return c.want == o.String() }

// Want is what the case wants, as text.
func (c Case) Want() string { return c.want }
