package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// form is the form of what this version writes to the streams. It grows with a version whose records, plans or messages an
// older one would read wrongly, or write again without what it does not know; that version says so in the description of
// LEDGER (metaForm), which backups take along, before it writes anything else. LEDGER without a word is of form 1.
const (
	form     = 1
	metaForm = "keyturn.form"
)

// ErrNewer: a version of a newer form has written to the streams. Working over them would lose what it wrote.
var ErrNewer = errors.New("a newer version of Keyturn has written to these streams, in a form that this one would lose parts of: " +
	`start that version again, or this one over the backup from before it (docs/OPERATIONS.md, "Upgrade")`)

// checkForm says by ErrNewer that the streams are of a newer form.
func (b *Bus) checkForm(ctx context.Context) error {
	s, err := b.js.Stream(ctx, streamLedger)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err != nil {
		return refusal("look for stream "+streamLedger, err)
	}
	said := s.CachedInfo().Config.Metadata[metaForm]
	if n, err := strconv.Atoi(said); said != "" && (err != nil || n > form) {
		return fmt.Errorf("%w: theirs is %s, and this version's %d", ErrNewer, said, form)
	}
	return nil
}

// together adds to the subjects that a stream of this version takes those of another version that it has already: one that
// works beside this one must not find what it publishes refused because this one has started.
func together(own, theirs []string) []string {
	all := slices.Clone(own)
	for _, s := range theirs {
		if !slices.ContainsFunc(own, func(o string) bool { return overlap(o, s) }) {
			all = append(all, s)
		}
	}
	return all
}

// overlap reports whether some subject is of both; a stream may not have two of which that is true.
func overlap(a, b string) bool {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(x), len(y)) {
		switch {
		case x[i] == ">" || y[i] == ">":
			return true
		case x[i] != y[i] && x[i] != "*" && y[i] != "*":
			return false
		}
	}
	return len(x) == len(y)
}
