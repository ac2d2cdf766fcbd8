package stream_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"keyturn/internal/stream"
	"keyturn/internal/stream/embedded"
)

// serve answers get reads of okta-prod until the returned stop, which waits for the end.
func serve(t *testing.T, bus *stream.Bus, r stream.Reader) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- bus.Serve(ctx, stream.Service{Connection: "okta-prod", Readers: map[stream.Read]stream.Reader{stream.ReadGet: r}})
	}()
	stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		done <- nil
	}
	t.Cleanup(stop)
	return stop
}

// ask asks until somebody answers, and gives the pages.
func ask(t *testing.T, bus *stream.Bus, query string) ([]string, error) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; {
		var pages []string
		err := bus.Ask(t.Context(), stream.ReadGet, "okta-prod", []byte(query), func(p []byte) error {
			pages = append(pages, string(p))
			return nil
		})
		if !errors.Is(err, stream.ErrNoHolder) || time.Now().After(deadline) {
			return pages, err
		}
	}
}

func TestAReadIsAnsweredInPages(t *testing.T) {
	srv := start(t, embedded.Options{})
	worker, tool := connect(t, srv), connect(t, srv)
	err := tool.Ask(t.Context(), stream.ReadGet, "okta-prod", nil, func([]byte) error { return nil })
	if !errors.Is(err, stream.ErrNoHolder) {
		t.Errorf("nobody serves: %v", err)
	}
	serve(t, worker, func(_ context.Context, query []byte, send func([]byte) error) error {
		for i := range 50 {
			if err := send(fmt.Appendf(nil, "%s %d", query, i)); err != nil {
				return err
			}
		}
		return nil
	})
	pages, err := ask(t, tool, "users")
	if err != nil || len(pages) != 50 || !slices.IsSortedFunc(pages, byNumber) || pages[49] != "users 49" {
		t.Errorf("%v, %d pages: %v", err, len(pages), pages)
	}
	err = tool.Ask(t.Context(), stream.ReadCheck, "okta-prod", nil, func([]byte) error { return nil })
	if !errors.Is(err, stream.ErrNoHolder) {
		t.Errorf("another read of the connection: %v", err)
	}
	if err := tool.Ask(t.Context(), stream.ReadGet, "okta.prod", nil, nil); err == nil || errors.Is(err, stream.ErrNoHolder) {
		t.Errorf("a name that is none: %v", err)
	}
}

func byNumber(a, b string) int {
	var x, y int
	_, _ = fmt.Sscanf(a, "users %d", &x)
	_, _ = fmt.Sscanf(b, "users %d", &y)
	return x - y
}

func TestAReadSaysWhyItCannot(t *testing.T) {
	srv := start(t, embedded.Options{})
	bus := connect(t, srv)
	said := &stream.ReadError{Code: "denied", Message: "okta.listUsers: 403\nE0000006", Suggestion: "grant the scope"}
	answers := map[string]error{"said": fmt.Errorf("get: %w", said), "other": errors.New("no such thing")}
	serve(t, bus, func(_ context.Context, query []byte, send func([]byte) error) error {
		if string(query) == "big" {
			return send(make([]byte, 65<<20))
		}
		if err := send([]byte("before")); err != nil {
			return err
		}
		return answers[string(query)]
	})
	pages, err := ask(t, bus, "said")
	var got *stream.ReadError
	if !errors.As(err, &got) || *got != *said || len(pages) != 1 {
		t.Errorf("%v after %v, want %v after one page", err, pages, said)
	}
	if _, err = ask(t, bus, "other"); !errors.As(err, &got) || got.Code != stream.ReadFailed || got.Message != "no such thing" {
		t.Errorf("%v", err)
	}
	if _, err = ask(t, bus, "big"); !errors.As(err, &got) || !strings.Contains(got.Message, "68157440 bytes") {
		t.Errorf("a page over the payload: %v", err)
	}
}

// TestAReaderThatStopsHoldsTheHolderBack: the holder is never more than one page ahead of who takes them, and ends
// when nobody does.
func TestAReaderThatStopsHoldsTheHolderBack(t *testing.T) {
	srv := start(t, embedded.Options{})
	worker, tool := connect(t, srv), connect(t, srv)
	var made atomic.Int64
	ended := make(chan error, 1)
	serve(t, worker, func(ctx context.Context, _ []byte, send func([]byte) error) error {
		for {
			made.Add(1)
			if err := send(make([]byte, 1<<10)); err != nil {
				ended <- err
				return err
			}
		}
	})
	enough := errors.New("enough")
	taken := int64(0)
	read := func() error {
		taken = 0
		made.Store(0)
		return tool.Ask(t.Context(), stream.ReadGet, "okta-prod", nil, func([]byte) error {
			if taken++; made.Load() > taken {
				t.Errorf("%d pages made when %d were taken", made.Load(), taken)
			}
			if taken == 100 {
				return enough
			}
			return nil
		})
	}
	err := read()
	for deadline := time.Now().Add(20 * time.Second); errors.Is(err, stream.ErrNoHolder) && time.Now().Before(deadline); {
		err = read()
	}
	if err != enough || taken != 100 { //nolint:errorlint // it comes back as it is
		t.Errorf("%v after %d pages", err, taken)
	}
	if err := <-ended; err == nil || made.Load() > 101 {
		t.Errorf("the reader ended with %v after %d pages", err, made.Load())
	}
}

// TestAnAskerThatLeavesEndsTheRead: its context ends, and the next page finds nobody.
func TestAnAskerThatLeavesEndsTheRead(t *testing.T) {
	srv := start(t, embedded.Options{})
	worker, tool := connect(t, srv), connect(t, srv)
	left, ended := make(chan struct{}), make(chan error, 1)
	serve(t, worker, func(ctx context.Context, _ []byte, send func([]byte) error) error {
		if err := send([]byte("first")); err != nil {
			return err
		}
		<-left
		err := send([]byte("second"))
		<-ctx.Done()
		ended <- errors.Join(err, context.Cause(ctx))
		return err
	})
	ctx, cancel := context.WithCancel(t.Context())
	for {
		err := tool.Ask(ctx, stream.ReadGet, "okta-prod", nil, func([]byte) error { cancel(); return nil })
		if errors.Is(err, stream.ErrNoHolder) {
			continue
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%v, want that of the context", err)
		}
		break
	}
	close(left)
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "gone") {
		t.Errorf("the read ended with %v", err)
	}
}

// TestABeatKeepsAQuietReadAlive, and ends one that nobody waits for.
func TestABeatKeepsAQuietReadAlive(t *testing.T) {
	t.Parallel()
	srv := start(t, embedded.Options{})
	worker, tool := connect(t, srv), connect(t, srv)
	began, ended := make(chan struct{}), make(chan error, 1)
	serve(t, worker, func(ctx context.Context, query []byte, send func([]byte) error) error {
		if string(query) == "quick" {
			return nil
		}
		close(began)
		<-ctx.Done() // a long wait for the provider's budget
		ended <- context.Cause(ctx)
		return ctx.Err()
	})
	if _, err := ask(t, tool, "quick"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-began; cancel() }()
	if err := tool.Ask(ctx, stream.ReadGet, "okta-prod", nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "gone") {
		t.Errorf("the read ended with %v", err)
	}
}

func TestAReadIsToldThatTheLaneMoved(t *testing.T) {
	srv := start(t, embedded.Options{})
	one, two, tool := connect(t, srv), connect(t, srv), connect(t, srv)
	said := make(chan struct{})
	answer := func(name string) stream.Reader {
		return func(ctx context.Context, query []byte, send func([]byte) error) error {
			if string(query) != "long" {
				return send([]byte(name))
			}
			close(said)
			<-ctx.Done()
			return ctx.Err()
		}
	}
	stop := serve(t, one, answer("one"))
	if pages, err := ask(t, tool, "who"); err != nil || pages[0] != "one" {
		t.Fatal(pages, err)
	}
	go func() { <-said; stop() }()
	_, err := ask(t, tool, "long")
	var got *stream.ReadError
	if !errors.As(err, &got) || got.Code != stream.ReadMoved || got.Suggestion == "" {
		t.Errorf("%v", err)
	}
	serve(t, two, answer("two"))
	for deadline := time.Now().Add(20 * time.Second); ; {
		pages, err := ask(t, tool, "who")
		if errors.As(err, &got) && got.Code == stream.ReadMoved && time.Now().Before(deadline) {
			continue // the first has not taken its subscription back yet
		}
		if err != nil || pages[0] != "two" {
			t.Error(pages, err)
		}
		return
	}
}

func TestTooManyReadsAreRefused(t *testing.T) {
	srv := start(t, embedded.Options{})
	worker, tool := connect(t, srv), connect(t, srv)
	free, in := make(chan struct{}), make(chan struct{})
	serve(t, worker, func(ctx context.Context, query []byte, _ func([]byte) error) error {
		if string(query) == "quick" {
			return nil
		}
		in <- struct{}{}
		<-free
		return nil
	})
	if _, err := ask(t, tool, "quick"); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 8)
	for range 8 {
		go func() {
			done <- tool.Ask(context.Background(), stream.ReadGet, "okta-prod", nil, func([]byte) error { return nil })
		}()
		<-in
	}
	var got *stream.ReadError
	if _, err := ask(t, tool, "ninth"); !errors.As(err, &got) || got.Code != stream.ReadBusy {
		t.Errorf("the ninth: %v", err)
	}
	close(free)
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if _, err := ask(t, tool, "quick"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestLeasesSayWhoHoldsWhat(t *testing.T) {
	srv := start(t, embedded.Options{})
	bus := connect(t, srv)
	if held, err := bus.Leases(t.Context()); err != nil || len(held) != 0 {
		t.Fatal(held, err)
	}
	var held []stream.Lease
	err := bus.Hold(t.Context(), "okta-prod", "worker-1", func(ctx context.Context, _ uint64) error {
		return bus.Hold(ctx, "asa-prod", "worker-2", func(ctx context.Context, _ uint64) error {
			var err error
			held, err = bus.Leases(ctx)
			return err
		})
	})
	if err != nil || len(held) != 2 || held[0].Connection != "asa-prod" || held[1].Holder != "worker-1" || held[1].Since.IsZero() {
		t.Errorf("%+v, %v", held, err)
	}
}

// TestAPanicEndsItsReadAlone: a read that meets a fault of ours says so, and the next one is answered.
func TestAPanicEndsItsReadAlone(t *testing.T) {
	srv := start(t, embedded.Options{})
	var log bytes.Buffer // one read at a time
	worker := connect(t, srv, func(o *stream.Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	stop := serve(t, worker, func(_ context.Context, query []byte, send func([]byte) error) error {
		var none []int
		if string(query) == "bad" {
			none[len(query)] = 1
		}
		return send(query)
	})
	tool := connect(t, srv)
	_, err := ask(t, tool, "bad")
	if said, ok := errors.AsType[*stream.ReadError](err); !ok || said.Code != stream.ReadFailed || said.Suggestion == "" {
		t.Errorf("%v", err)
	}
	if pages, err := ask(t, tool, "good"); err != nil || len(pages) != 1 {
		t.Errorf("%v, %v", pages, err)
	}
	stop()
	if told := log.String(); !strings.Contains(told, "PANIC: a read") || !strings.Contains(told, "reads_test.go") {
		t.Errorf("nobody is told: %s", told)
	}
}
