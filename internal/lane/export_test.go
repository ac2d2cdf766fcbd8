package lane

// Waiting is how many calls wait before the gate.
func (t *Tenure) Waiting() int {
	t.gate.mu.Lock()
	defer t.gate.mu.Unlock()
	return len(t.gate.waiting)
}

// FinishWithin is how long calls may take when the worker stops.
const FinishWithin = finishWithin
