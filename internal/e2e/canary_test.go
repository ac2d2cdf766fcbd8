package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"keyturn/internal/apiclient/asa"
	"keyturn/internal/apiclient/okta"
	"keyturn/internal/apiclient/transmit"
	"keyturn/internal/config"
	"keyturn/internal/events"
	"keyturn/internal/ledger"
	"keyturn/internal/reads"
	"keyturn/internal/secret"
	"keyturn/internal/stream"
)

// TestNoSecretComesOut marks every secret that there is, lets everything happen that can happen, and finds no mark
// anywhere but in the sink. Then it plants one wherever it looked, and finds each.
func TestNoSecretComesOut(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	w.flows(t)
	w.operators(t)
	w.errors(t)
	w.end(t)
	w.outage(t)
	w.operators(t)
	seen := w.harvest(t)
	if n := len(w.marks.known()); n < 18 {
		t.Errorf("only %d kinds of secrets were seen: %v", n, w.marks.known())
	}
	for place, text := range seen {
		if found := w.marks.find([]byte(text)); len(found) > 0 {
			t.Errorf("%s: %v", place, found)
		}
	}
	t.Run("each place is looked at", func(t *testing.T) { w.plant(t) })
	w.stop()
	w.sink(t)
}

// sink checks that the secrets of the clients that were created stand in the sink, each in a file of its own, and
// that no file of the store holds any secret.
func (w *world) sink(t *testing.T) {
	t.Helper()
	if len(w.made) != 3 {
		t.Errorf("%d clients were created, want 3", len(w.made))
	}
	for id, name := range w.made {
		file := w.path("sink", id+".json")
		data, err := os.ReadFile(file)
		var kept map[string]string
		if err != nil || json.Unmarshal(data, &kept) != nil || kept["client_secret"] == "" || kept["client_secret"] != w.provider.created[id] {
			t.Errorf("the sink does not have the secret of %s: %v", name, err)
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %+v, %v", file, info, err)
		}
	}
	planted := false
	for place, text := range w.storeFiles(t) {
		for _, name := range w.marks.find([]byte(text)) {
			if planted = planted || name == "planted in the ledger"; !strings.HasPrefix(name, "planted") {
				t.Errorf("%s: %s", place, name)
			}
		}
	}
	if !planted {
		t.Error("what was planted in the ledger is not found in the files of the store")
	}
}

// storeFiles reads the broker's files as they are, but for the two that hold a secret of their own by design.
func (w *world) storeFiles(t *testing.T) map[string]string {
	t.Helper()
	seen := map[string]string{}
	err := filepath.WalkDir(w.path("store"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "nats.json" || d.Name() == "deployment.key" {
			return err
		}
		data, err := os.ReadFile(path)
		seen["file "+path] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

// harvest gathers everything that anybody but the sink gets to see, by place.
func (w *world) harvest(t *testing.T) map[string]string {
	t.Helper()
	seen := map[string]string{
		"log": string(w.log.text()), "answers": strings.Join(w.answers, "\n"), "reads": strings.Join(w.read, "\n"), "errors": w.faults,
	}
	w.pages(t, seen)
	w.streams(t, seen)
	w.records(t, seen)
	w.forms(seen)
	return seen
}

// pages are those of both listeners, with those where a debugger would sit: nothing may answer there.
func (w *world) pages(t *testing.T, seen map[string]string) {
	t.Helper()
	for _, path := range []string{"/livez", "/readyz", "/readyz?verbose", "/metrics"} {
		status, text := w.get(t, w.admin+path)
		if status == http.StatusNotFound || text == "" {
			t.Errorf("%s: %d", path, status)
		}
		seen["page "+path] = text
	}
	for _, path := range []string{"/debug/", "/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/goroutine?debug=2", "/debug/vars", "/"} {
		for _, base := range []string{w.admin, w.hooks} {
			status, text := w.get(t, base+path)
			if status != http.StatusNotFound {
				t.Errorf("%s answers %d", path, status)
			}
			seen["page "+base+path] = text
		}
	}
	if _, text := w.get(t, w.hooks+"/metrics"); strings.Contains(text, "keyturn_") {
		t.Error("the public listener shows metrics")
	}
}

// client connects to the broker past everything of ours.
func (w *world) client(t *testing.T) (*nats.Conn, jetstream.JetStream) {
	t.Helper()
	o := w.broker.Options()
	nc, err := nats.Connect("", nats.InProcessServer(o.InProcess), nats.UserInfo(o.User, o.Password.Reveal()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return nc, js
}

// streams reads every message of every stream that the broker has, with subject and headers, and how all is set up.
func (w *world) streams(t *testing.T, seen map[string]string) {
	t.Helper()
	_, js := w.client(t)
	list := js.ListStreams(t.Context())
	for info := range list.Info() {
		seen["stream "+info.Config.Name] = printed(info)
		s, err := js.Stream(t.Context(), info.Config.Name)
		if err != nil {
			t.Fatal(err)
		}
		consumers := s.ListConsumers(t.Context())
		for c := range consumers.Info() {
			seen["consumer "+c.Name] = printed(c)
		}
		var b strings.Builder
		for seq := info.State.FirstSeq; seq <= info.State.LastSeq && seq > 0; seq++ {
			msg, err := s.GetMsg(t.Context(), seq)
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "%s\n%v\n%s\n", msg.Subject, msg.Header, msg.Data)
		}
		seen["messages of "+info.Config.Name] = b.String()
	}
	if err := list.Err(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"EVENTS", "ACTIONS", "SCHEDULE", "COMMANDS", "LEDGER", "DEAD"} {
		if seen["messages of "+name] == "" && name != "SCHEDULE" && name != "ACTIONS" {
			t.Errorf("no message in %s", name)
		}
	}
}

// records are the ledger, the views of its cases and the dead letters, as those who print them get them.
func (w *world) records(t *testing.T, seen map[string]string) {
	t.Helper()
	var b strings.Builder
	n := 0
	if err := w.ledger.Range(t.Context(), ledger.Everything(), time.Time{}, func(rec ledger.Record) error {
		n++
		data, err := json.Marshal(rec)
		fmt.Fprintf(&b, "%+v %s\n", rec, data)
		return err
	}); err != nil || n < 50 {
		t.Errorf("%d records, %v", n, err)
	}
	seen["ledger"] = b.String()
	b.Reset()
	for _, id := range w.cases {
		v, err := w.view.Case(t.Context(), id)
		b.WriteString(printed(v) + fmt.Sprint(err))
	}
	seen["views"] = b.String()
	b.Reset()
	if err := w.bus.DeadLetters(t.Context(), func(d events.DeadLetter) error {
		b.WriteString(printed(d))
		return nil
	}); err != nil || b.Len() == 0 {
		t.Errorf("dead letters: %d bytes, %v", b.Len(), err)
	}
	seen["dead letters"] = b.String()
}

// clients are made as the worker makes them, for each kind of credential.
func (w *world) clients(t *testing.T) (map[string]*okta.Client, *asa.Client, *transmit.Client) {
	t.Helper()
	oktas := map[string]*okta.Client{}
	var device *asa.Client
	var app *transmit.Client
	for _, c := range w.files.Connections {
		var err error
		switch {
		case c.Auth.SSWS != nil:
			oktas[c.Name], err = okta.New(okta.Options{BaseURL: c.BaseURL, SSWS: c.Auth.SSWS.Token})
		case c.Auth.ServiceApp != nil:
			a := c.Auth.ServiceApp
			oktas[c.Name], err = okta.New(okta.Options{BaseURL: c.BaseURL, ServiceApp: &okta.ServiceApp{
				ClientID: a.ClientID, KeyID: a.KeyID, PrivateKey: a.PrivateKey, Scopes: a.Scopes,
			}})
		case c.Provider == config.ProviderASA:
			device, err = asa.New(asa.Options{BaseURL: c.BaseURL, Team: c.Team, ServiceUser: asa.ServiceUser(*c.Auth.ServiceUser)})
		default:
			app, err = transmit.New(transmit.Options{BaseURL: c.BaseURL, TokenURL: c.TokenURL,
				ClientID: c.Auth.ClientCredentials.ClientID, ClientSecret: c.Auth.ClientCredentials.ClientSecret})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return oktas, device, app
}

// errors are those of clients whose every call fails, and of a configuration that cannot be read.
func (w *world) errors(t *testing.T) {
	t.Helper()
	oktas, device, app := w.clients(t)
	ctx := t.Context()
	var all []error
	for _, refuse := range []bool{true, false} {
		w.provider.refuse.Store(refuse)
		for _, how := range []func(*provider, http.ResponseWriter, *httptest.ResponseRecorder){half, garbled, mistyped, malformed, preamble, elsewhere,
			repeats(401, false), repeats(403, false), repeats(404, true), repeats(409, false), repeats(429, false), repeats(500, true)} {
			w.provider.plot(mischief{"GET", "/users/00u1", how}, mischief{"GET", "/clients/1", how}, mischief{"POST", "/v1/clients", how})
			for _, c := range oktas {
				_, err := c.GetUser(ctx, "00u1")
				all = append(all, err, c.Probe(ctx))
			}
			_, err := device.GetClient(ctx, "1")
			_, _, err2 := app.CreateOIDC(ctx, transmit.OIDCClient{Common: transmit.Common{Name: "x"}, OIDCFields: transmit.OIDCFields{RedirectURIs: []string{"https://acme.example"}}})
			all = append(all, err, err2, device.Probe(ctx), app.Probe(ctx))
		}
	}
	w.provider.refuse.Store(false)
	_, err := config.Read(w.path("config"), config.Resolver{ReadFile: func(name string) ([]byte, error) {
		data, err := os.ReadFile(name)
		return append(data, " \x00"...), err
	}})
	all = append(all, err)
	var b strings.Builder
	for _, err := range all {
		b.WriteString(printed(err) + "\n")
	}
	w.faults = b.String()
}

// keep notes which clients were created for apps.
func (w *world) keep() {
	for _, c := range w.provider.sandbox.Snapshot().Mosaic.Clients {
		if strings.HasPrefix(c.Name, "App ") {
			w.made[c.ID] = c.Name
		}
	}
}

// operators read everything at every provider, and have every connection checked.
func (w *world) operators(t *testing.T) {
	t.Helper()
	values := map[string]string{
		"user": w.acme.Staff[4].Login, "login": w.acme.Staff[4].Login, "client": w.acme.SharedClient, "server": "default",
		"all": "true", "name": w.acme.Leaver.ASAName, "id": "nobody",
	}
	for _, c := range w.files.Connections {
		ask := func(read stream.Read, q reads.Query) {
			query, err := json.Marshal(q)
			if err != nil {
				t.Fatal(err)
			}
			err = w.bus.Ask(t.Context(), read, c.Name, query, func(page []byte) error {
				w.read = append(w.read, string(page))
				return nil
			})
			w.read = append(w.read, printed(err))
		}
		ask(stream.ReadCheck, reads.Query{})
		for _, r := range reads.Of(c.Provider) {
			q := reads.Query{Resource: r.Name, Filters: map[string]string{}}
			for _, f := range r.Filters {
				first := len(r.OneOf) > 0 && (f.Name == "login" || f.Name == "all" || f.Name == "name")
				if v := values[f.Name]; v != "" && (f.Required || first) {
					q.Filters[f.Name] = v
				}
			}
			ask(stream.ReadGet, q)
		}
	}
	if !strings.Contains(strings.Join(w.read, ""), "App portal") {
		t.Error("no read showed the client that was created")
	}
}

// forms are all that holds a secret, as fmt and encoding/json print it.
func (w *world) forms(seen map[string]string) {
	maps.Copy(seen, w.idle)
	c, _ := w.files.Connections.Find("mosaic")
	for name, v := range map[string]any{
		"settings": w.settings, "sources": w.sources, "connections": w.files.Connections, "connection": c, "keyer": w.keyer,
		"broker":        w.broker.Options(),
		"client secret": transmit.AppClient{ClientID: "1", ClientSecret: secret.New(w.provider.created[c.Auth.ClientCredentials.ClientID])},
	} {
		seen["form of "+name] = printed(v)
	}
}

// printed is a value as fmt and encoding/json print it, also from within another one.
func printed(v any) string {
	data, err := json.Marshal(v)
	within := struct{ v any }{v}
	return fmt.Sprintf("%v %+v %#v %s %q %+v %#v %s %v", v, v, v, v, v, within, within, data, err)
}
