package ingest

import (
	"errors"
	"slices"
	"strings"

	"keyturn/internal/config"
	"keyturn/internal/mapping"
)

// SourceSpec configures one sender of webhooks.
type SourceSpec struct {
	Name       string // the last part of its endpoint, POST /hooks/<Name>
	Preset     string // how its deliveries become events: "cloudevents"
	DedupScope string // what case ids are taken in; empty = Name
	// UnsignedAttributes takes event attributes from headers that the signature does not cover. Without it a binary
	// CloudEvent is refused unless the verifier covers its ce- headers: whoever gets hold of one signed body could
	// otherwise send it again as an event of another type.
	UnsignedAttributes bool
	Insecure           bool // takes deliveries that prove nothing: with the kind none, and never without
	Verify             VerifySpec
	Poll               *config.Poll // where tokens are fetched; nil = nowhere

	At         config.Position    // in sources.yaml
	Handshakes []config.Handshake // what the sender asks beside its deliveries
	Mapping    *config.Mapping    // how deliveries become events; nil where the preset is code
	Response   config.Response    // to what was taken
	OnFault    string             // to what cannot be mapped: "accept" (also when empty), "reject" or "retry"
}

// Source is a sender, ready to be served.
type Source struct {
	name      string
	scope     string
	keys      int
	sets      bool    // its deliveries are security event tokens
	insecure  bool    // it believes everybody
	challenge string  // of a refusal; empty = none
	poller    *poller // nil = its tokens are only pushed
	verifier  Verifier
	sampler   sampler
	preset    Preset // nil where there is a mapping
	mapping   *mapping.Mapping
	shakes    handshakes
	response  config.Response
	onFault   string
	headers   []string // that the mapping or a handshake looks at
}

// Name is the last part of the source's endpoint.
func (s *Source) Name() string { return s.name }

// SpecFault is one thing that is wrong with a SourceSpec: where, by the keys of sources.yaml, and what to do. It never
// holds a value.
type SpecFault struct{ Path, What string }

// SpecFaults are all that is wrong with a SourceSpec.
type SpecFaults []SpecFault

// Error gives one line per fault.
func (f SpecFaults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.Path + ": " + fault.What
	}
	return strings.Join(lines, "\n")
}

func (f *SpecFaults) add(path, what string) { *f = append(*f, SpecFault{path, what}) }

// NewSource checks a spec and makes the source. The error is SpecFaults: all faults at once.
func NewSource(spec SourceSpec) (*Source, error) {
	var faults SpecFaults
	s := &Source{name: spec.Name, scope: spec.DedupScope}
	if s.scope == "" {
		s.scope = spec.Name
	}
	if !validName(spec.Name) {
		faults.add("name", "use 1 to 63 lower-case letters, digits, - and _, beginning with a letter or a digit")
	}
	if !validName(s.scope) {
		faults.add("dedup_scope", "use 1 to 63 lower-case letters, digits, - and _, beginning with a letter or a digit")
	}
	s.response, s.onFault = spec.Response, spec.OnFault
	if s.preset = newPreset(spec); s.preset == nil && spec.Mapping == nil {
		faults.add("preset", "is not one of: cloudevents, standard-webhooks; give a mapping")
	}
	s.proven(spec, &faults)
	if spec.Poll != nil && !s.sets {
		faults.add("poll", "fetches security event tokens, which this source cannot verify: verify by set_jws, or remove it")
	}
	err := s.compile(spec)
	if len(faults) > 0 {
		return nil, errors.Join(faults, err)
	}
	if err != nil {
		return nil, err
	}
	if spec.Poll != nil {
		s.poller = newPoller(s, *spec.Poll)
	}
	return s, nil
}

// proven says how deliveries prove themselves.
func (s *Source) proven(spec SourceSpec, faults *SpecFaults) {
	s.sets, s.insecure, s.challenge = takesSET(spec.Verify), spec.Verify.None != nil, challenge(spec.Verify)
	s.verifier, s.keys = newVerifier(spec, faults)
}

// Rekeyed gives the source of a spec that differs from this one's in the keys of its proof alone: what is expressions is
// compiled already, and of what was learned about keys nothing is left. The error is SpecFaults.
func (s *Source) Rekeyed(spec SourceSpec) (*Source, error) {
	other := &Source{
		name: s.name, scope: s.scope, preset: s.preset, mapping: s.mapping, shakes: s.shakes, response: s.response, onFault: s.onFault, headers: s.headers,
	}
	var faults SpecFaults
	if other.proven(spec, &faults); len(faults) > 0 {
		return nil, faults
	}
	return other, nil
}

// compile makes what of a source is expressions. The error is config.Faults.
func (s *Source) compile(spec SourceSpec) (err error) {
	shakes, faults := newHandshakes(spec.Handshakes, coverage(spec.Verify).Secret)
	s.shakes = shakes
	if spec.Mapping != nil {
		s.mapping, err = mapping.Compile(spec.Preset, *spec.Mapping, coverage(spec.Verify), proofs(spec.Verify, spec.At))
	}
	if err = config.Join(err, faults.Err()); err != nil || s.mapping == nil {
		return err
	}
	s.headers = slices.Clone(s.mapping.Headers())
	for _, c := range s.shakes.conditions() {
		s.headers = append(s.headers, c.Headers()...)
	}
	return nil
}

// newPreset is where a preset gets its name.
func newPreset(spec SourceSpec) Preset {
	switch spec.Preset {
	case "cloudevents", "standard-webhooks":
		return cloudEvents{unsignedAttributes: spec.UnsignedAttributes}
	}
	return nil
}

// validName reports whether s may be a source's name: also a NATS subject token and a metric label.
func validName(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[0] == '_' {
		return false
	}
	for _, c := range s {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}
