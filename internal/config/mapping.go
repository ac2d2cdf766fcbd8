package config

import "strings"

// Mapping says how the deliveries of a source become events. Its expressions are text: they are compiled by those who
// know what there is to be looked at.
type Mapping struct {
	At        Position
	Format    string // "json" or "form"
	Variables []Variable
	Split     *Expr
	When      *Expr
	Of        Expr
	Rows      []Row  // in the order of the file
	Unknown   string // "count", "dead" or "reject"
	Fields    Fields // of every row that does not say otherwise
	Keep      []Text // JSON pointers; a step * is any element of a list; none = everything is kept
	Redact    []Text // JSON pointers; a step * is any member or element
	// UnsignedHeaders says why headers or query parameters are used that the signature does not cover; empty = they
	// are not.
	UnsignedHeaders string
}

// Row is what one word of the sender stands for.
type Row struct {
	Word   string
	At     Position
	Event  Text // a name of the catalogue, Ignore or Dead
	When   *Expr
	Fields Fields // merged with those of the mapping
}

// What the event of a Row may be beside those of the catalogue.
const (
	Ignore = "ignore" // known to be none
	Dead   = "dead"   // a dead letter: a person decides what it is
)

// Fields are the expressions that make an event of an item.
type Fields struct {
	ID          []Expr
	Source      *Expr
	Time        *Time
	EffectiveAt *Effective
	Class       *Expr
	Data        []Param
}

// Time is a point in time of the sender's.
type Time struct {
	From    Expr
	Formats []Text
}

// Effective is a time of effect, which may be a day with a cut-off in a zone.
type Effective struct {
	At      Position
	From    *Expr
	Formats []Text
	Zone    *Value // a literal text or an expression; nil = none
	Cutoff  Text   // "17:00", "24:00"; empty = none
}

// Handshake is what a sender asks before it sends, or between its deliveries. Exactly one field is set.
type Handshake struct {
	At              Position
	HeaderEcho      *HeaderEcho
	QueryEcho       string   // the parameter
	Origins         []string // of a CloudEvents web hook
	SSFVerification bool
	SSFState        string // what was asked to be sent back; empty = nobody asked, or nobody wrote it down
	Ping            *Ping
	Capture         *Capture
}

// HeaderEcho gives the value of a header back as a member of a JSON object.
type HeaderEcho struct{ Header, Key string }

// Ping is a delivery that only tries whether anybody answers.
type Ping struct {
	When       Expr
	Unverified string // why it comes without a signature; empty = it must be signed
}

// Capture is a delivery that brings the token by which later ones are signed.
type Capture struct{ When, Token Expr }

// Response is the answer to a delivery that was taken. The zero Response is 202 with the ids of the cases.
type Response struct {
	Status      int
	Body        string
	ContentType string
}

// Fact is what is known of a sender, and from where.
type Fact struct {
	Fact      string `json:"fact"`
	Confirmed bool   `json:"confirmed"`
	From      string `json:"from"`
}

func readMapping(d *document, at path) *Mapping {
	if !d.has(at) {
		return nil
	}
	var raw struct {
		Format string `json:"format"`
		Type   struct {
			Of      string `json:"of"`
			Unknown string `json:"unknown"`
		} `json:"type"`
		Keep            []string `json:"keep"`
		Redact          []string `json:"redact"`
		UnsignedHeaders string   `json:"unsigned_headers"`
	}
	d.decode(at, &raw)
	m := &Mapping{
		At: d.keyPosition(at), Format: or(raw.Format, "json"), Unknown: or(raw.Type.Unknown, "count"),
		Split: d.optional(at.to("split")), When: d.optional(at.to("when")), Of: d.required(at.to("type", "of")),
		Keep: d.texts(at.to("keep"), raw.Keep), Redact: d.texts(at.to("redact"), raw.Redact), UnsignedHeaders: raw.UnsignedHeaders, Fields: readFields(d, at, Fields{}),
	}
	for _, here := range d.items(at.to("variables")...) {
		name, _ := d.value(here.to("name")).(string)
		is := d.required(here.to("is"))
		m.Variables = append(m.Variables, Variable{Name: name, At: d.position(here.to("name")), Value: &is})
	}
	for _, word := range d.keys(at.to("type", "table")...) {
		m.Rows = append(m.Rows, readRow(d, at.to("type", "table", word), word, m.Fields))
	}
	return m
}

func readRow(d *document, at path, word string, whole Fields) Row {
	row := Row{Word: word, At: d.keyPosition(at), Fields: whole}
	switch x := d.value(at).(type) {
	case string:
		row.Event = Text{Value: x, At: d.position(at)}
	case map[string]any:
		name, _ := x["event"].(string)
		row.Event = Text{Value: name, At: d.position(at.to("event"))}
		row.When = d.optional(at.to("when"))
		row.Fields = readFields(d, at, whole)
	}
	return row
}

// readFields reads the fields at a path; what is not there is as in whole.
func readFields(d *document, at path, whole Fields) Fields {
	f := whole
	if d.has(at.to("id")) {
		f.ID = nil
		for _, here := range d.items(at.to("id")...) {
			f.ID = append(f.ID, d.required(here))
		}
	}
	for name, field := range map[string]**Expr{"source": &f.Source, "class": &f.Class} {
		if d.has(at.to(name)) {
			*field = d.optional(at.to(name))
		}
	}
	if here := at.to("time"); d.has(here) {
		f.Time = &Time{From: d.required(here.to("from")), Formats: d.formats(here)}
	}
	if here := at.to("effective_at"); d.has(here) {
		f.EffectiveAt = readEffective(d, here, whole.EffectiveAt)
	}
	if here := at.to("data"); d.has(here) {
		f.Data = d.params(here)
	}
	return f
}

// readEffective reads a time of effect; what is not there is as in whole.
func readEffective(d *document, at path, whole *Effective) *Effective {
	e := Effective{}
	if whole != nil {
		e = *whole
	}
	e.At = d.keyPosition(at)
	if d.has(at.to("from")) {
		e.From = d.optional(at.to("from"))
	}
	if e.From == nil {
		d.fault(at, "is from nowhere: write from, the expression that gives the time or the day")
	}
	if d.has(at.to("formats")) {
		e.Formats = d.formats(at)
	}
	if here := at.to("zone"); d.has(here) {
		v := d.param(here)
		e.Zone = &v
	}
	if here := at.to("cutoff"); d.has(here) {
		text, _ := d.value(here).(string)
		e.Cutoff = Text{Value: strings.ReplaceAll(text, "end_of_day", "24:00"), At: d.position(here)}
	}
	return &e
}

func (d *document) formats(at path) []Text {
	var words []string
	d.decode(at.to("formats"), &words)
	return d.texts(at.to("formats"), words)
}

// optional is the expression at a path, nil when there is none.
func (d *document) optional(at path) *Expr {
	s, ok := d.value(at).(string)
	if !ok {
		return nil
	}
	return d.condition(at, s)
}

// required is the expression at a path. The schema reports it when it is missing.
func (d *document) required(at path) Expr {
	if e := d.optional(at); e != nil {
		return *e
	}
	return Expr{At: d.position(at)}
}

func readHandshakes(d *document, at path) []Handshake {
	var list []Handshake
	for _, here := range d.items(at...) {
		h := Handshake{At: d.position(here), SSFVerification: d.has(here.to("ssf_verification"))}
		var raw struct {
			HeaderEcho *struct {
				Header string `json:"header"`
				Key    string `json:"key"`
			} `json:"header_echo"`
			QueryEcho     struct{ Parameter string }  `json:"query_echo"`
			WebHookOrigin struct{ Origins []string }  `json:"web_hook_origin"`
			AcceptPing    struct{ Unverified string } `json:"accept_ping"`
			SSF           struct{ State string }      `json:"ssf_verification"`
		}
		d.decode(here, &raw)
		if raw.HeaderEcho != nil {
			h.HeaderEcho = &HeaderEcho{Header: raw.HeaderEcho.Header, Key: raw.HeaderEcho.Key}
		}
		h.SSFState = raw.SSF.State
		h.QueryEcho, h.Origins = raw.QueryEcho.Parameter, raw.WebHookOrigin.Origins
		if p := here.to("accept_ping"); d.has(p) {
			h.Ping = &Ping{When: d.required(p.to("when")), Unverified: raw.AcceptPing.Unverified}
		}
		if p := here.to("capture_token"); d.has(p) {
			h.Capture = &Capture{When: d.required(p.to("when")), Token: d.required(p.to("token"))}
		}
		list = append(list, h)
	}
	return list
}

func readResponse(d *document, at path) Response {
	var raw struct {
		Status      int    `json:"status"`
		Body        string `json:"body"`
		ContentType string `json:"content_type"`
	}
	if !d.has(at) {
		return Response{}
	}
	d.decode(at, &raw)
	if raw.Status == 0 {
		raw.Status = 202
	}
	if raw.ContentType != "" && raw.Body == "" {
		d.fault(at.to("content_type"), "there is no body: write one, or remove this")
	}
	if raw.Status == 204 && raw.Body != "" {
		d.fault(at.to("body"), "an answer with status 204 has no body: remove it, or choose 200")
	}
	return Response{Status: raw.Status, Body: raw.Body, ContentType: or(raw.ContentType, "text/plain; charset=utf-8")}
}
