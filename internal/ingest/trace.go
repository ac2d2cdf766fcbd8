package ingest

// Step is one thing that a verifier looked at. It never holds a secret, nor what was signed.
type Step struct {
	What   string // "signed", "key", "timestamp": what was looked at
	Detail string
	OK     bool
}

// trace collects the steps of one delivery.
type trace struct{ steps []Step }

// say notes a step for whoever wants to be told; detail is only called then.
func (d Delivery) say(ok bool, what string, detail func() string) {
	if d.trace != nil {
		d.trace.steps = append(d.trace.steps, Step{What: what, Detail: detail(), OK: ok})
	}
}

// Explain verifies a delivery, as the handler does, and tells each step.
func (s *Source) Explain(d Delivery) ([]Step, Verified, error) {
	d.trace = &trace{}
	if err := s.verifier.Glance(d); err != nil {
		d.say(false, "headers", err.Error)
		return d.trace.steps, Verified{}, err
	}
	v, err := s.verifier.Verify(d)
	if err != nil {
		d.say(false, "verified", err.Error)
	}
	return d.trace.steps, v, err
}
