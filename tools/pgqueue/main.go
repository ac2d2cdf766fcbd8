// Command pgqueue is what the benchmark "unlimited" compares Keyturn with: a job queue on PostgreSQL, as published designs
// build it, doing the same HTTP calls. It is a module of its own, so that its driver stays out of the product's.
//
// A job is a row. One fetcher takes rows with SELECT … FOR UPDATE SKIP LOCKED, as many at a time as there is room for
// (River, Oban and pg-boss fetch so); workers make the calls of a job; the outcome is written to the row and committed,
// on disk, before the job counts as done. How outcomes are committed is chosen: each in a transaction of its own (Oban,
// pg-boss, Que), which the server groups by itself, or all that wait in one statement (the completer of River).
//
// With records it does the whole of Keyturn's work: the plan and the states are read before a job starts, and what was
// intended, what was seen and the end of the case are rows of a chain.
//
// Nothing is held back from it: fetching a row again after a crash is harmless, so that fetches do not wait for the disk,
// and outcomes are committed beside the calls of the next jobs.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "pgqueue:", err)
		os.Exit(1)
	}
}

// settings are the flags.
type settings struct {
	dsn   string
	base  string // of the provider
	batch bool   // commit all outcomes that wait in one statement
	calls int    // that may be in flight

	records bool // keep the records that Keyturn keeps
}

// result is what the benchmark reads.
type result struct {
	Jobs    int     `json:"jobs"`
	Seconds float64 `json:"seconds"` // from the first fetch to the last commit
}

// run reads the calls of all jobs from stdin, one JSON list of calls a job, and works them off.
func run(ctx context.Context, args []string) error {
	var s settings
	flags := flag.NewFlagSet("pgqueue", flag.ContinueOnError)
	flags.StringVar(&s.dsn, "dsn", "", "the database")
	flags.StringVar(&s.base, "base", "", "where the calls go")
	flags.BoolVar(&s.batch, "batch", false, "commit all outcomes that wait in one statement")
	flags.BoolVar(&s.records, "records", false, "keep the records that Keyturn keeps, each outcome in a transaction with its records")
	flags.IntVar(&s.calls, "calls", 32, "calls in flight")
	if err := flags.Parse(args); err != nil {
		return err
	}
	cfg, err := pgxpool.ParseConfig(s.dsn)
	if err != nil {
		return err
	}
	cfg.MaxConns = int32(s.calls) + 1 // each committer has one, and the fetcher
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return err
	}
	defer pool.Close()
	jobs, err := load(ctx, pool, json.NewDecoder(os.Stdin))
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	if s.records {
		if err := plan(ctx, pool, jobs); err != nil {
			return fmt.Errorf("plan: %w", err)
		}
	}
	began := time.Now()
	if err := newQueue(pool, s).work(ctx, jobs); err != nil {
		return err
	}
	took := time.Since(began)
	if err := check(ctx, pool, jobs); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(result{Jobs: jobs, Seconds: took.Seconds()})
}

// check counts what the database says is done.
func check(ctx context.Context, pool *pgxpool.Pool, jobs int) error {
	var done int
	if err := pool.QueryRow(ctx, `SELECT count(*) FROM job WHERE state = 'completed' AND outcome IS NOT NULL`).Scan(&done); err != nil {
		return err
	}
	if done != jobs {
		return errors.New("not every job has an outcome")
	}
	return nil
}
