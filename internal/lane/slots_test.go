package lane

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/internal/events"
)

func TestSlotsServeTheUrgentFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(2)
		hold := func(c events.Class) func() {
			t.Helper()
			release, err := s.take(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			return release
		}
		first, second := hold(events.Bulk), hold(events.Normal)
		third, fourth := hold(events.Urgent), hold(events.Urgent) // in the places that only they take
		var mu sync.Mutex
		var order []events.Class
		for _, c := range []events.Class{events.Bulk, events.Normal, events.Urgent, events.Bulk, events.Urgent} {
			go func() {
				release := hold(c)
				mu.Lock()
				order = append(order, c)
				mu.Unlock()
				time.Sleep(time.Second)
				release()
			}()
			synctest.Wait()
		}
		if len(order) != 0 {
			t.Fatalf("%v went although all places were taken", order)
		}
		first()
		time.Sleep(10 * time.Second)
		mu.Lock()
		got := fmt.Sprint(order)
		mu.Unlock()
		if got != "[urgent urgent normal bulk bulk]" {
			t.Errorf("served %s", got)
		}
		second()
		third()
		fourth()
		synctest.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.free != 2 || s.urgent != urgentSlots {
			t.Errorf("%d and %d places in the end", s.free, s.urgent)
		}
	})
}

func TestSlotsForgetWhoLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(1)
		release, err := s.take(t.Context(), events.Bulk)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.take(deadline(t, time.Second), events.Bulk); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		release()
		if release, err = s.take(deadline(t, time.Second), events.Bulk); err != nil {
			t.Errorf("a place was lost with the one who left: %v", err)
		}
		release()
	})
}
