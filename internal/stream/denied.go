package stream

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// deniedFor is how long a refusal explains what went without an answer: a request is waited for that long at most, and a
// process says so once more when it asks again.
const deniedFor = time.Minute

// denial is what the server last refused this connection's user.
type denial struct {
	what string
	at   time.Time
}

// heard notes what the server says beside the answers. What a user may not do it does not answer: whoever asked waits in vain.
func (b *Bus) heard(err error) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		b.log.Warn("broker", "error", err)
		return
	}
	what := strings.TrimPrefix(err.Error(), nats.ErrPermissionViolation.Error()+": ")
	b.denied.Store(&denial{what: what, at: time.Now()})
	b.log.Warn("broker refuses a right: grant it at the NATS servers to the user of this process", "error", err)
}

// Explain adds to an error that the broker gave no answer what it refused meanwhile, where it did; nil stays nil.
func (b *Bus) Explain(err error) error {
	d := b.denied.Load()
	if err == nil || d == nil || time.Since(d.at) > deniedFor {
		return err
	}
	return fmt.Errorf("%w: the broker refused meanwhile: %s: grant that at the NATS servers to the user of this process", err, d.what)
}
