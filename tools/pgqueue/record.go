package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// With records, the queue leaves behind what Keyturn does: who is about to change what, on disk before the change; what was
// seen afterwards; and the case closed. A record is added by compare-and-swap on its subject, which the primary key is, and
// holds the hash of the one before it. Before it starts, a job reads its plan, the state of its case and what was tried.
const records = `
DROP TABLE IF EXISTS record;
CREATE TABLE record (
	subject  text,
	seq      int,
	state    text NOT NULL,
	at       timestamptz NOT NULL DEFAULT now(),
	attempt  text NOT NULL DEFAULT '',
	evidence text NOT NULL DEFAULT '',
	previous bytea,
	hash     bytea NOT NULL,
	PRIMARY KEY (subject, seq)
)`

const (
	standing = `SELECT DISTINCT ON (subject) subject, seq, state, hash FROM record WHERE subject = ANY($1) ORDER BY subject, seq DESC`
	start    = `INSERT INTO record (subject, seq, state, attempt, evidence, previous, hash) VALUES ($1, $2, 'started', $3, $4, $5, $6)`
	// closing is one statement, and thus one transaction and one trip.
	closing = `WITH seen AS (INSERT INTO record (subject, seq, state, attempt, evidence, previous, hash) VALUES ($2, $3, 'verified', $4, $5, $6, $7)),
		closed AS (INSERT INTO record (subject, seq, state, previous, hash) VALUES ($8, $9, 'closed', $10, $11))
		UPDATE job SET state = 'completed', outcome = $5, finished_at = now() WHERE id = $1`
)

// record is the last one of a subject.
type record struct {
	subject, state string
	seq            int
	hash           []byte
}

// next is the record that follows.
func (r record) next(state, body string) record {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%s\x00%d\x00%s\x00%s\x00", r.subject, r.seq+1, state, body)
	_, _ = h.Write(r.hash)
	return record{subject: r.subject, state: state, seq: r.seq + 1, hash: h.Sum(nil)}
}

// subjects of a job: its plan, the state of its case, its action.
func subjects(id int64) []string {
	name := fmt.Sprintf("case%022d", id)
	return []string{"plan." + name, "case." + name, "action." + name}
}

// plan writes what a planner leaves behind for so many jobs.
func plan(ctx context.Context, pool *pgxpool.Pool, jobs int) error {
	if _, err := pool.Exec(ctx, records); err != nil {
		return err
	}
	_, err := pool.CopyFrom(ctx, pgx.Identifier{"record"}, []string{"subject", "seq", "state", "hash"},
		pgx.CopyFromSlice(2*jobs, func(i int) ([]any, error) {
			r := record{subject: subjects(int64(i/2 + 1))[i%2]}.next([]string{"planned", "open"}[i%2], "")
			return []any{r.subject, r.seq, r.state, r.hash}, nil
		}))
	if err == nil {
		_, err = pool.Exec(ctx, `VACUUM ANALYZE record`)
	}
	return err
}

// standing reads what stands of a job: of its case, and of its action.
func (q *queue) standing(ctx context.Context, id int64) (lifecycle, action record, err error) {
	names := subjects(id)
	rows, err := q.pool.Query(ctx, standing, names)
	if err != nil {
		return lifecycle, action, err
	}
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (one record, err error) {
		return one, r.Scan(&one.subject, &one.seq, &one.state, &one.hash)
	})
	last := map[string]record{}
	for _, r := range list {
		last[r.subject] = r
	}
	if err == nil && (last[names[0]].state != "planned" || last[names[1]].state != "open") {
		err = fmt.Errorf("job %d is not to be done: %v", id, list)
	}
	action = last[names[2]]
	action.subject = names[2]
	return last[names[1]], action, err
}

// prove makes the calls of a job, and keeps the record of it.
func (q *queue) prove(ctx context.Context, j job) error {
	var calls []request
	if err := json.Unmarshal([]byte(j.payload), &calls); err != nil {
		return err
	}
	lifecycle, action, err := q.standing(ctx, j.id)
	if err != nil {
		return err
	}
	attempt := strconv.FormatInt(j.id, 10)
	var seen string
	for i, c := range calls {
		if i == 1 { // the first look is over, and the change follows
			begun := action.next("started", seen)
			if _, err := q.pool.Exec(ctx, start, begun.subject, begun.seq, attempt, seen, action.hash, begun.hash); err != nil {
				return err
			}
			action = begun
		}
		if seen, err = q.ask(ctx, c); err != nil {
			return err
		}
	}
	if seen != suspended {
		return fmt.Errorf("job %d: the user is %q", j.id, seen)
	}
	seen = outcomeOf(seen)
	verified, closed := action.next("verified", seen), lifecycle.next("closed", "")
	_, err = q.pool.Exec(ctx, closing, j.id, verified.subject, verified.seq, attempt, seen, action.hash, verified.hash,
		closed.subject, closed.seq, lifecycle.hash, closed.hash)
	return err
}
