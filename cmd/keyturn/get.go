package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"keyturn/internal/events"
	"keyturn/internal/reads"
	"keyturn/internal/stream"
)

// getFlags are the flags of `keyturn get`.
type getFlags struct {
	output string
	query  reads.Query
}

// newGetCmd makes `keyturn get`. Its filters are those of package reads.
func newGetCmd(a *app) *cobra.Command {
	var g getFlags
	cmd := &cobra.Command{
		Use:   "get [CONNECTION [RESOURCE]]",
		Short: "Read what a provider has: users, tokens, grants, devices, clients",
		Long: `Read what a provider has, through the worker that holds the lane of the connection: this machine needs no credential
of the provider, and what is read spends the connection's budget like everything else. Nothing is changed, and no
secret is shown. Without RESOURCE it lists what can be read, and how; without CONNECTION of every connection.

A table is printed as it comes, page by page; --json prints one array, -o jsonl a row per line. Output that broke off
is told by the exit code, and an array by its missing end.

Here --server is an authorization server. Say --nats for what --server is elsewhere.`,
		Example: `  keyturn get
  keyturn get okta-prod user --login ada.berg@acme.example
  keyturn get okta-prod user-tokens --user 1001 --client 0oa2f9
  keyturn get okta-prod tokens --server default --client 0oa2f9 -o jsonl
  keyturn get asa-prod clients --username Ada.Berg -o wide
  keyturn get mosaic-prod clients --json`,
		Args: cobra.MaximumNArgs(2),
	}
	g.flags(cmd.Flags())
	cmd.Flags().StringVar(&a.place.server, "nats", "", "NATS servers (KEYTURN_NATS_URL)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := g.read(cmd, a.asJSON); err != nil {
			return usage(err)
		}
		return a.get(cmd.Context(), g, args)
	}
	return cmd
}

// flags adds the flags, those of the filters among them.
func (g *getFlags) flags(f *pflag.FlagSet) {
	f.StringVarP(&g.output, "output", "o", "", "table (default), wide, json or jsonl")
	f.IntVar(&g.query.Limit, "limit", 0, "rows at most (default all)")
	f.StringVar(&g.query.Class, "class", "", "whose part of the budget is spent: urgent, normal (default) or bulk")
	for _, filter := range reads.Filters() {
		switch filter.Kind {
		case reads.Flag:
			f.Bool(filter.Name, false, filter.About)
		case reads.Number:
			f.Int(filter.Name, 0, filter.About)
		default:
			f.String(filter.Name, "", filter.About)
		}
	}
}

// read takes the filters that were given.
func (g *getFlags) read(cmd *cobra.Command, asJSON bool) error {
	g.query.Filters = map[string]string{}
	for _, filter := range reads.Filters() {
		if flag := cmd.Flags().Lookup(filter.Name); flag.Changed && flag.Value.String() != "false" {
			g.query.Filters[filter.Name] = flag.Value.String()
		}
	}
	if asJSON {
		if g.output != "" && g.output != outJSON {
			return errors.New("get: say --json or -o, not both")
		}
		g.output = outJSON
	}
	switch g.output {
	case "":
		g.output = outTable
	case outTable, outWide, outJSON, outLines:
	default:
		return fmt.Errorf("get: -o %s: none of table, wide, json and jsonl", g.output)
	}
	if g.query.Limit < 0 {
		return errors.New("get: --limit below 0")
	}
	if g.query.Class != "" && !events.Class(g.query.Class).Valid() {
		return fmt.Errorf("get: --class %s: none of urgent, normal and bulk", g.query.Class)
	}
	return nil
}

// get prints what was asked for.
func (a *app) get(ctx context.Context, g getFlags, args []string) error {
	s, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	g.query.Actor = a.actor()
	p := &rowPrinter{app: a, form: g.output}
	if len(args) < 2 {
		if len(g.query.Filters) > 0 {
			return usage(errors.New("get: a filter needs a RESOURCE"))
		}
		err = s.catalogue(ctx, p, g.query, args)
	} else {
		g.query.Resource = args[1]
		arrived := a.noteWait(args[0])
		defer arrived()
		err = s.rows(ctx, args[0], g.query, func(page reads.Page) error {
			arrived()
			return p.page(page)
		})
	}
	if err != nil {
		return err
	}
	return p.end("nothing found")
}

// rows asks the holder of a connection's lane, page by page.
func (s *session) rows(ctx context.Context, connection string, q reads.Query, page func(reads.Page) error) error {
	query, err := json.Marshal(q)
	if err != nil {
		return err
	}
	err = s.bus.Ask(ctx, stream.ReadGet, connection, query, func(data []byte) error {
		var p reads.Page
		dec := json.NewDecoder(bytes.NewReader(data))
		if err := dec.Decode(&p); err != nil {
			return fmt.Errorf("get %s: an answer in a form of another version: %w", connection, err)
		}
		return page(p)
	})
	return s.readFault(ctx, connection, err)
}

// noteAfter is how long a person is left without a word.
const noteAfter = 5 * time.Second

// noteWait says after a while why nothing comes yet, unless the returned stop came before.
func (a *app) noteWait(connection string) (stop func()) {
	t := time.AfterFunc(noteAfter, func() {
		a.note("%s: still at work; calls wait their turn and the provider's rate limit (keyturn connection check)", connection)
	})
	return func() { t.Stop() }
}

// catalogue prints what can be read at the named connection, or at all whose lane is held.
func (s *session) catalogue(ctx context.Context, p *rowPrinter, q reads.Query, named []string) error {
	if len(named) == 0 {
		var err error
		if named, err = s.held(ctx); err != nil {
			return err
		}
	}
	var faults []error
	var all reads.Page // a few lines for each connection
	for _, connection := range named {
		faults = append(faults, s.rows(ctx, connection, q, func(page reads.Page) error {
			if all.Columns == nil {
				all.Columns = append([]reads.Column{{Title: "CONNECTION", Field: "connection"}}, page.Columns...)
			}
			for _, row := range page.Rows {
				row, err := withConnection(row, connection)
				if err != nil {
					return err
				}
				all.Rows = append(all.Rows, row)
			}
			return nil
		}))
	}
	return errors.Join(append(faults, p.page(all))...)
}

// withConnection adds the connection to a row.
func withConnection(row json.RawMessage, connection string) (json.RawMessage, error) {
	var fields map[string]any
	if err := json.Unmarshal(row, &fields); err != nil {
		return nil, err
	}
	fields["connection"] = connection
	return json.Marshal(fields)
}

// errNoLanes: no connection is served at all.
var errNoLanes = errors.New("no worker holds any lane: start keyturn serve, or a worker, with connections.yaml; is one starting, ask again in 15 s")

// readFault puts the error of a read into words and an exit code.
func (s *session) readFault(ctx context.Context, connection string, err error) error {
	var said *stream.ReadError
	switch {
	case errors.Is(err, stream.ErrNoHolder):
		return unavailable(fmt.Errorf("%s: %w: %s", connection, stream.ErrNoHolder, s.whoElse(ctx, connection)))
	case !errors.As(err, &said):
		return err
	}
	text := fmt.Errorf("%s: %w", connection, said)
	if said.Suggestion != "" {
		text = fmt.Errorf("%w; %s", text, said.Suggestion)
	}
	switch said.Code {
	case stream.ReadCode(reads.Invalid):
		return usage(text)
	case stream.ReadCode(reads.NotFound):
		return notFound(text)
	case stream.ReadCode(reads.Later), stream.ReadCode(reads.Unreachable), stream.ReadMoved, stream.ReadBusy:
		return unavailable(text)
	}
	return text
}

// whoElse helps where nobody holds a lane: which lanes are held, and what to do.
func (s *session) whoElse(ctx context.Context, connection string) string {
	held, err := s.bus.Leases(ctx)
	if err != nil || len(held) == 0 {
		return "start keyturn serve, or a worker, with this connection in its connections.yaml"
	}
	var names []string
	for _, l := range held {
		if l.Connection == connection {
			return fmt.Sprintf("%s held it and does not answer; another worker takes over within 15 s", l.Holder)
		}
		names = append(names, l.Connection)
	}
	return "held are " + strings.Join(names, ", ") + "; if the name is right, start a worker with it in its connections.yaml"
}
