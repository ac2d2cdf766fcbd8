package config

import (
	"slices"
	"strings"
)

// Sources are the configured senders of webhooks, in the order of the file.
type Sources []Source

// Source is one sender: its endpoint is POST /hooks/<Name>.
type Source struct {
	Name       string
	Preset     string // how its deliveries are mapped: a name of Presets, or Custom
	At         Position
	About      string
	Facts      []Fact
	Verify     Verify
	DedupScope string // what case ids are taken in; the name when the file does not say
	// UnsignedAttributes takes a binary CloudEvent's attributes from headers that the signature does not cover.
	UnsignedAttributes bool
	Handshakes         []Handshake
	Mapping            *Mapping // nil when the preset is code
	Response           Response
	OnFault            string // "accept", "reject" or "retry"
	// Insecure takes deliveries that prove nothing: it stands beside the kind none, and nowhere else.
	Insecure bool
	Poll     *Poll // where its tokens are fetched; nil = they are pushed only
}

// Find gives the source of that name.
func (s Sources) Find(name string) (Source, bool) {
	for _, source := range s {
		if source.Name == name {
			return source, true
		}
	}
	return Source{}, false
}

// sourceDoc is a source as the file spells it.
type sourceDoc struct {
	Preset     string    `json:"preset"`
	About      string    `json:"about"`
	Facts      []Fact    `json:"facts"`
	OnFault    string    `json:"on_fault"`
	DedupScope string    `json:"dedup_scope"`
	Unsigned   bool      `json:"unsigned_attributes"`
	Insecure   bool      `json:"insecure"`
	Verify     verifyDoc `json:"verify"`
	Poll       *pollDoc  `json:"poll"`
}

func readSources(d *document) Sources {
	var sources Sources
	for _, name := range d.keys("sources") {
		at := path{"sources", name}
		var raw sourceDoc
		d.decode(at, &raw)
		source := Source{Name: name, Preset: raw.Preset, DedupScope: raw.DedupScope, UnsignedAttributes: raw.Unsigned, Insecure: raw.Insecure}
		source.At, source.About, source.Facts, source.OnFault = d.keyPosition(at), raw.About, raw.Facts, or(raw.OnFault, "accept")
		source.Handshakes, source.Response = readHandshakes(d, at.to("handshakes")), readResponse(d, at.to("response"))
		source.Mapping = readMapping(d, at.to("map"))
		checkPreset(d, at, source)
		if source.DedupScope == "" {
			source.DedupScope = name
		}
		source.Verify = readVerify(d, at.to("verify"), raw.Verify)
		checkVerify(d, at.to("verify"), source.Verify, source.Insecure)
		source.Poll = readPoll(d, at.to("poll"), raw.Poll, source.Verify)
		sources = append(sources, source)
	}
	return sources
}

// coded are the presets whose mapping is code, because their senders send what Keyturn itself understands.
var coded = []string{"cloudevents", "standard-webhooks"}

// checkPreset wants a mapping exactly where the preset is none.
func checkPreset(d *document, at path, s Source) {
	code := slices.Contains(coded, s.Preset)
	switch {
	case s.Preset == "": // the schema has said so
	case s.Preset != Custom && !slices.Contains(Presets(), s.Preset):
		d.fault(at.to("preset"), "no such preset%s", near(s.Preset, append(Presets(), Custom)))
	case code && s.Mapping != nil:
		d.faultKey(at.to("map"), "has no effect: this preset takes events as they are; remove it, or use the preset custom")
	case code && d.has(at.to("on_fault")):
		d.faultKey(at.to("on_fault"), "has no effect: this preset takes events as they are; remove it")
	case !code && s.Mapping == nil:
		d.fault(at.to("preset"), "needs the key map: say how its deliveries become events")
	}
	if !code && s.UnsignedAttributes {
		d.faultKey(at.to("unsigned_attributes"), "has no effect here: it is for CloudEvents in binary mode; see map.unsigned_headers")
	}
}

// near suggests the preset that was meant; a list of all would be too long.
func near(word string, known []string) string {
	if s := Suggest(word, known); strings.Contains(s, "did you mean") {
		return s
	}
	return ": keyturn source list shows them, and custom is for one of your own"
}
