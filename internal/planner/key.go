package planner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"keyturn/internal/events"
	"keyturn/internal/ledger"
)

// ErrKey: the deployment key is not the one under which the ledger was begun.
var ErrKey = errors.New("the deployment key is not the one that this ledger was made with: under it nobody's order, holds by " +
	"person or cases would be found; set KEYTURN_DEPLOYMENT_KEY or KEYTURN_DEPLOYMENT_KEY_FILE to the key of the other workers, or " +
	"put the store's deployment.key back from the backup")

// keyProof is what the deployment key is told by: a principal is never spelled like it.
const keyProof = "keyturn deployment key"

// keySubject is where the proof stands, in the form of a person's order.
func keySubject() string { return ledger.OrderSubject("key") }

// keyed is the body of its record.
type keyed struct {
	Proof string `json:"proof"` // the key of keyProof: no secret
}

// CheckKey says by ErrKey that a ledger was begun under another deployment key. One that says nothing of its key, as no
// worker of this version ran over it yet, takes every key.
func CheckKey(ctx context.Context, l *ledger.Ledger, k events.Keyer) error {
	_, err := checkKey(ctx, l, k)
	return err
}

// ClaimKey is CheckKey for a worker: a ledger that says nothing of its key says from now on that it is this one; and so does
// one whose key a person says is lost, by the proof that a refusal names.
func ClaimKey(ctx context.Context, l *ledger.Ledger, k events.Keyer, by, lost string) error {
	last, err := checkKey(ctx, l, k)
	reason := "principals are hidden under this deployment key"
	switch {
	case errors.Is(err, ErrKey) && lost != "" && lost == proofOf(last):
		reason = "the deployment key before this one is lost: what it hid is not found any more"
	case err != nil || last.Seq != 0:
		return err
	}
	body, err := json.Marshal(keyed{Proof: k.Key(keyProof)})
	if err != nil {
		return err
	}
	// The record follows the one that was read or is refused: of workers that start at once one says it, and the others find
	// it said. Dying before it: the next start says it.
	_, err = l.Append(ctx, last, ledger.Record{Subject: keySubject(), State: ledger.Kept, By: by, Body: body, Reason: reason})
	if errors.Is(err, ledger.ErrConflict) {
		return CheckKey(ctx, l, k)
	}
	return err
}

// checkKey also gives what the ledger tells of its key.
func checkKey(ctx context.Context, l *ledger.Ledger, k events.Keyer) (ledger.Record, error) {
	rec, err := l.Last(ctx, keySubject())
	if err != nil || rec.Seq == 0 {
		return rec, err
	}
	if proof := proofOf(rec); proof != k.Key(keyProof) {
		return rec, fmt.Errorf("%w; if it is lost for good, KEYTURN_LOST_KEY=%s lets the workers go on under the one that they have", ErrKey, proof)
	}
	return rec, nil
}

// proofOf reads a record of the key; one that cannot be read proves no key.
func proofOf(rec ledger.Record) string {
	var body keyed
	_ = json.Unmarshal(rec.Body, &body)
	return body.Proof
}
