//go:build !race

package e2e

import (
	"fmt"
	"net/http"
	"time"

	"keyturn/internal/sandbox"
)

// misbehave lets the providers fail now and then, in every way that they have.
func (c *chaos) misbehave() (string, func()) {
	const some = 6
	for range some {
		f := c.misbehaviour()
		if _, err := c.site.sandbox.Fault(f); err != nil {
			c.t.Fatal(err)
		}
	}
	return fmt.Sprintf("%d faults are armed", some), func() { c.site.sandbox.ClearFaults() }
}

// misbehaviour is one fault of a provider.
func (c *chaos) misbehaviour() sandbox.Fault {
	f := sandbox.Fault{
		Path:  []string{"/okta/**", "/asa/**", "/mosaic/**"}[c.rng.IntN(len(laneOf))],
		Skip:  c.rng.IntN(20),
		Times: 1 + c.rng.IntN(4),
	}
	switch c.rng.IntN(7) {
	case 0:
		f.Kind, f.Status, f.RetryIn = sandbox.KindStatus, http.StatusTooManyRequests, time.Second
	case 1:
		f.Kind, f.Status = sandbox.KindStatus, []int{500, 502, 503, 504}[c.rng.IntN(4)]
	case 2:
		f.Kind = sandbox.KindCut
	case 3:
		f.Kind, f.Delay = sandbox.KindDelay, 300*time.Millisecond
	case 4:
		f.Kind, f.Delay = sandbox.KindEffectThenTimeout, 100*time.Millisecond
	case 5:
		f.Kind, f.Status = sandbox.KindEffectThenStatus, []int{500, 502, 503, 504}[c.rng.IntN(4)]
	case 6:
		f.Kind, f.Method = sandbox.KindNoEffect, http.MethodDelete
	}
	return f
}
