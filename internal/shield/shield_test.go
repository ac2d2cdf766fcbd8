package shield

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
)

func TestRun(t *testing.T) {
	var none []int
	if met := Run(func() {}); met != nil {
		t.Error(met)
	}
	met := Run(func() { none[len(none)] = 1 })
	if met == nil || !strings.Contains(met.Said, "index out of range") || !strings.Contains(met.Stack, "shield_test.go") {
		t.Fatalf("%+v", met)
	}
	if again := Run(func() { panic(met) }); again != met {
		t.Errorf("carried on: %+v", again)
	}
	if told := Run(func() { panic("maria@acme.example") }); told == nil || told.Said != "string" {
		t.Errorf("%+v", told)
	}
}

func TestKeep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		var b bytes.Buffer
		runs := 0
		Keep(ctx, slog.New(slog.NewTextHandler(&b, nil)), "the watch", func(context.Context) {
			if runs++; runs == 3 {
				return
			}
			panic("maria@acme.example")
		})
		if told := b.String(); runs != 3 || strings.Count(told, "PANIC: the watch meets") != 2 || strings.Contains(told, "maria") {
			t.Errorf("%d runs: %s", runs, told)
		}
		stop()
		runs = 0
		Keep(ctx, slog.New(slog.DiscardHandler), "the watch", func(context.Context) { runs++; panic("once") })
		if runs != 1 {
			t.Errorf("after the end it ran %d times", runs)
		}
	})
}
