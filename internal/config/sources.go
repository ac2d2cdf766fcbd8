package config

// Sources are the configured senders of webhooks, in the order of the file.
type Sources []Source

// Source is one sender: its endpoint is POST /hooks/<Name>.
type Source struct {
	Name       string
	Preset     string // how its deliveries are mapped: "cloudevents"
	Verify     Verify
	DedupScope string // what case ids are taken in; the name when the file does not say
	// UnsignedAttributes takes a binary CloudEvent's attributes from headers that the signature does not cover.
	UnsignedAttributes bool
	// Insecure takes deliveries that prove nothing: it stands beside the kind none, and nowhere else.
	Insecure bool
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
	DedupScope string    `json:"dedup_scope"`
	Unsigned   bool      `json:"unsigned_attributes"`
	Insecure   bool      `json:"insecure"`
	Verify     verifyDoc `json:"verify"`
}

func readSources(d *document) Sources {
	var sources Sources
	for _, name := range d.keys("sources") {
		at := path{"sources", name}
		var raw sourceDoc
		d.decode(at, &raw)
		source := Source{Name: name, Preset: raw.Preset, DedupScope: raw.DedupScope, UnsignedAttributes: raw.Unsigned, Insecure: raw.Insecure}
		if source.DedupScope == "" {
			source.DedupScope = name
		}
		source.Verify = readVerify(d, at.to("verify"), raw.Verify)
		checkVerify(d, at.to("verify"), source.Verify, source.Insecure)
		sources = append(sources, source)
	}
	return sources
}
