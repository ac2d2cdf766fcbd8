package lane

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/internal/apiclient"
	"keyturn/internal/events"
)

// TestOneOfThoseThatWaitForARightIsTried at a time, less and less; and when it comes to its end all go on.
func TestOneOfThoseThatWaitForARightIsTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLacks(silent)
		lacking := &apiclient.Error{Cause: apiclient.Denied, Status: 403, Needs: "okta.users.manage"}
		id := func(i int) string { return fmt.Sprint("a", i) }
		for i := range 100 {
			l.refused(id(i), needs(lacking), lacking, time.Now())
			l.ended(id(i), events.Outcome{}, time.Now())
		}
		if l.hold("new", 1, time.Now()) || !l.hold(id(7), 1, time.Now()) {
			t.Error("a new one is held, or one that was refused is not")
		}
		tried := 0
		for began := time.Now(); time.Since(began) < time.Hour; time.Sleep(time.Second) {
			free := 0
			for i := range 100 {
				if l.hold(id(i), 1, time.Now()) {
					continue
				}
				free++
				l.refused(id(i), needs(lacking), lacking, time.Now())
				l.ended(id(i), events.Outcome{}, time.Now())
			}
			if free > 1 {
				t.Fatalf("%d were tried at once", free)
			}
			tried += free
		}
		if tried < 12 || tried > 30 {
			t.Errorf("%d were tried in an hour", tried)
		}
		if told := l.tell(); len(told) != 1 || told[0].Right != "okta.users.manage" || told[0].Actions != 100 {
			t.Errorf("it says %+v", told)
		}
		l.hasten()
		if l.hold(id(3), 1, time.Now()) || !l.hold(id(4), 1, time.Now()) {
			t.Error("not one is tried when that is wanted")
		}
		l.ended(id(3), events.Outcome{Verdict: events.Retry}, time.Now()) // it met something else before
		time.Sleep(probeFirst)
		if l.hold(id(4), 1, time.Now()) {
			t.Error("nobody is tried after one that came to nothing")
		}
		l.answered(id(4), "okta.users.manage")
		l.ended(id(4), events.Outcome{Verdict: events.Done}, time.Now())
		if l.hold(id(5), 1, time.Now()) || l.hold(id(6), 1, time.Now()) || len(l.tell()) > 0 || len(l.waits) > 0 {
			t.Errorf("it waits on: %+v, %d", l.tell(), len(l.waits))
		}
	})
}

// TestOneThatComesToAnotherRightEndsItsTrial lets the next one try the right that it had waited for; and a right that nobody
// waits for any more is not told as missing.
func TestOneThatComesToAnotherRightEndsItsTrial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLacks(silent)
		refuse := func(id, right string) {
			lacking := &apiclient.Error{Cause: apiclient.Denied, Status: 403, Needs: right}
			l.refused(id, needs(lacking), lacking, time.Now())
			l.ended(id, events.Outcome{}, time.Now())
		}
		refuse("leaver", "okta.users.read")
		refuse("laptop", "okta.users.read")
		l.hasten()
		if l.hold("leaver", 1, time.Now()) {
			t.Fatal("the first is not tried")
		}
		refuse("leaver", "okta.users.manage") // to read was granted meanwhile, to manage was not
		time.Sleep(probeFirst)
		if l.hold("laptop", 1, time.Now()) {
			t.Fatal("the one that waits to read is never tried again")
		}
		refuse("laptop", "okta.users.manage")
		if told := l.tell(); len(told) != 1 || told[0].Right != "okta.users.manage" || told[0].Actions != 2 {
			t.Errorf("it says %+v", told)
		}
	})
}

// TestOnlyACallShowsARight: one that was called back, or that needed it no more, is done without it. Another one is tried soon,
// and the right is not told as missing when nobody is left who needs it.
func TestOnlyACallShowsARight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLacks(silent)
		lacking := &apiclient.Error{Cause: apiclient.Denied, Status: 403, Needs: "okta.users.manage"}
		for _, id := range []string{"gone", "leaver", "other"} {
			l.refused(id, needs(lacking), lacking, time.Now())
		}
		l.hasten()
		if l.hold("gone", 1, time.Now()) {
			t.Fatal("the first is not tried")
		}
		l.answered("gone", "okta.users.read")
		l.answered("leaver", "okta.users.manage") // of before it was refused
		l.ended("gone", events.Outcome{Verdict: events.Done}, time.Now())
		if !l.hold("leaver", 1, time.Now()) || len(l.tell()) != 1 || l.tell()[0].Actions != 2 {
			t.Fatalf("all go on after one that made no call: %+v", l.tell())
		}
		time.Sleep(probeFirst)
		if l.hold("leaver", 1, time.Now()) || !l.hold("other", 1, time.Now()) {
			t.Fatal("not one is tried after it")
		}
		for _, id := range []string{"leaver", "other"} {
			l.ended(id, events.Outcome{Verdict: events.Done}, time.Now())
		}
		if told := l.tell(); len(told) != 0 || len(l.waits) != 0 {
			t.Errorf("nobody waits, and it says %+v, %v", told, l.waits)
		}
	})
}

// TestTheUrgentDoesNotWaitForATrial that stands before the gate: it is tried in its place, and is the only one.
func TestTheUrgentDoesNotWaitForATrial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLacks(silent)
		lacking := &apiclient.Error{Cause: apiclient.Denied, Status: 403, Needs: "okta.users.manage"}
		for _, id := range []string{"leaver", "other", "laptop", "leak"} {
			l.refused(id, needs(lacking), lacking, time.Now())
		}
		if !l.hold("laptop", 0, time.Now()) {
			t.Fatal("the urgent is tried before it is time to")
		}
		l.hasten()
		if l.hold("leaver", 2, time.Now()) || l.hold("laptop", 0, time.Now()) || !l.hold("other", 2, time.Now()) || !l.hold("leak", 0, time.Now()) {
			t.Fatal("not the first, and the urgent in its place, are tried")
		}
		l.ended("leaver", events.Outcome{Verdict: events.Retry}, time.Now())
		if !l.hold("leak", 0, time.Now()) {
			t.Error("two urgent ones are tried at once")
		}
		l.answered("laptop", "okta.users.manage")
		l.ended("laptop", events.Outcome{Verdict: events.Done}, time.Now())
		if l.hold("leak", 0, time.Now()) || l.hold("other", 2, time.Now()) || len(l.tell()) > 0 {
			t.Errorf("they wait on for %+v", l.tell())
		}
	})
}
