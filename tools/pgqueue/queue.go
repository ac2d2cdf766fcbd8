package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const schema = `
DROP TABLE IF EXISTS job;
CREATE TABLE job (
	id          bigint PRIMARY KEY,
	state       text NOT NULL DEFAULT 'available',
	attempt     int NOT NULL DEFAULT 0,
	payload     text NOT NULL,
	outcome     text,
	claimed_at  timestamptz,
	finished_at timestamptz
);
CREATE INDEX job_available ON job (id) WHERE state = 'available'`

// Rows that were looked at stay where they are: nothing else waits for them.
const (
	claim = `UPDATE job SET state = 'running', attempt = attempt + 1, claimed_at = now()
		WHERE id = ANY(ARRAY(SELECT id FROM job WHERE state = 'available' ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED))
		RETURNING id, payload`
	complete     = `UPDATE job SET state = 'completed', outcome = $2, finished_at = now() WHERE id = $1`
	completeMany = `UPDATE job SET state = 'completed', outcome = done.outcome, finished_at = now()
		FROM unnest($1::bigint[], $2::text[]) AS done (id, outcome) WHERE job.id = done.id`
)

// load makes the table anew and fills it, and gives how many jobs it holds.
func load(ctx context.Context, pool *pgxpool.Pool, from *json.Decoder) (int, error) {
	if _, err := pool.Exec(ctx, schema); err != nil {
		return 0, err
	}
	var rows [][]any
	for {
		var payload json.RawMessage
		err := from.Decode(&payload)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, err
		}
		rows = append(rows, []any{int64(len(rows) + 1), string(payload)})
	}
	if _, err := pool.CopyFrom(ctx, pgx.Identifier{"job"}, []string{"id", "payload"}, pgx.CopyFromRows(rows)); err != nil {
		return 0, err
	}
	_, err := pool.Exec(ctx, `VACUUM ANALYZE job`)
	if err == nil {
		_, err = pool.Exec(ctx, `CHECKPOINT`)
	}
	return len(rows), err
}

// job is a row that was taken; done one with its outcome.
type (
	job struct {
		id      int64
		payload string
	}
	done struct {
		id      int64
		outcome string
	}
)

// queue works off the table.
type queue struct {
	settings
	pool   *pgxpool.Pool
	client http.Client
	taken  chan job
	done   chan done
	once   sync.Once
	failed error
	cancel context.CancelFunc
}

func newQueue(pool *pgxpool.Pool, s settings) *queue {
	return &queue{
		settings: s, pool: pool, taken: make(chan job, s.calls), done: make(chan done, 4*s.calls),
		client: http.Client{Transport: &http.Transport{MaxIdleConns: s.calls, MaxIdleConnsPerHost: s.calls}},
	}
}

// work returns when so many jobs are done, or at the first error.
func (q *queue) work(ctx context.Context, jobs int) error {
	ctx, q.cancel = context.WithCancel(ctx)
	defer q.cancel()
	var callers, committers sync.WaitGroup
	for range q.calls {
		callers.Go(func() {
			do := q.call
			if q.records {
				do = q.prove
			}
			for j := range q.taken {
				q.fail(do(ctx, j))
			}
		})
	}
	n := q.calls
	if q.batch {
		n = 1
	}
	for range n {
		committers.Go(func() { q.fail(q.commit(ctx)) })
	}
	q.fail(q.fetch(ctx, jobs))
	close(q.taken)
	callers.Wait()
	close(q.done)
	committers.Wait()
	return q.failed
}

// fail ends everything at the first error.
func (q *queue) fail(err error) {
	if err != nil {
		q.once.Do(func() { q.failed = err; q.cancel() })
	}
}

// fetch takes rows, as many at a time as the callers have room for, half of them at least.
func (q *queue) fetch(ctx context.Context, jobs int) error {
	conn, err := q.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, `SET synchronous_commit = off`); err != nil {
		return err
	}
	defer func() { _, _ = conn.Exec(ctx, `RESET synchronous_commit`) }()
	for got := 0; got < jobs; {
		rows, err := conn.Query(ctx, claim, 2*q.calls)
		if err != nil {
			return err
		}
		list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (j job, err error) { return j, r.Scan(&j.id, &j.payload) })
		if err != nil {
			return err
		}
		for _, j := range list {
			select {
			case q.taken <- j: // blocks while all have enough to do
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		got += len(list)
	}
	return nil
}

// request is one call of a job; suspended is how a user must be found after the last.
type request struct{ Method, Path string }

const suspended = "SUSPENDED"

// outcomeOf is what is kept of a job that is done.
func outcomeOf(status string) string { return `{"seen":[{"what":"status","value":"` + status + `"}]}` }

// call makes the calls of a job, one after the other.
func (q *queue) call(ctx context.Context, j job) error {
	var calls []request
	if err := json.Unmarshal([]byte(j.payload), &calls); err != nil {
		return err
	}
	status := ""
	for _, c := range calls {
		var err error
		if status, err = q.ask(ctx, c); err != nil {
			return err
		}
	}
	if status != suspended {
		return fmt.Errorf("job %d: the user is %q", j.id, status)
	}
	select {
	case q.done <- done{j.id, outcomeOf(status)}:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// ask makes one call, and gives the status of the user that it tells.
func (q *queue) ask(ctx context.Context, c request) (string, error) {
	req, err := http.NewRequestWithContext(ctx, c.Method, q.base+c.Path, nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "SSWS sample")
	req.Header.Set("Accept", "application/json")
	res, err := q.client.Do(req)
	if err != nil {
		return "", err
	}
	var user struct{ ID, Status string }
	err = json.NewDecoder(res.Body).Decode(&user)
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	if err != nil || res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s %s: status %d: %w", c.Method, c.Path, res.StatusCode, err)
	}
	return user.Status, nil
}

// commit writes outcomes to the database until there are no more.
func (q *queue) commit(ctx context.Context) error {
	for d := range q.done {
		if !q.batch {
			if _, err := q.pool.Exec(ctx, complete, d.id, d.outcome); err != nil {
				return err
			}
			continue
		}
		ids, outcomes := []int64{d.id}, []string{d.outcome}
		for more := true; more && len(ids) < 4*q.calls; {
			select {
			case d, ok := <-q.done:
				if more = ok; ok {
					ids, outcomes = append(ids, d.id), append(outcomes, d.outcome)
				}
			default:
				more = false
			}
		}
		if _, err := q.pool.Exec(ctx, completeMany, ids, outcomes); err != nil {
			return err
		}
	}
	return nil
}
