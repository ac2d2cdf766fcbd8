package sandbox

import (
	"net/http"
	"slices"
	"strconv"
	"time"
)

// armed is a fault with its counters.
type armed struct {
	Fault
	id     string
	seen   int
	struck int
	past   world // stale: the state when it was armed
}

// taken is the fault that shapes one call; the zero value shapes nothing.
type taken struct {
	Fault
	id   string
	past world
}

// staleWindow makes reads see the past for a while.
type staleWindow struct {
	id     string
	vendor string // every read of this vendor, if fault is nil
	fault  *Fault // reads that this fault matches
	past   world
	until  time.Time
}

// faultList is the armed faults and the open stale windows.
type faultList struct {
	armed  []*armed
	stale  []staleWindow
	serial int
}

func (l *faultList) arm(f Fault, live world) string {
	l.serial++
	a := &armed{Fault: f, id: "f" + strconv.Itoa(l.serial)}
	if f.Times == 0 {
		a.Times = 1
	}
	if f.Kind == KindStale {
		a.past = live.clone()
	}
	l.armed = append(l.armed, a)
	return a.id
}

func (l *faultList) clear(ids []string) {
	if len(ids) == 0 {
		l.armed, l.stale = nil, nil
		return
	}
	l.armed = slices.DeleteFunc(l.armed, func(a *armed) bool { return slices.Contains(ids, a.id) })
	l.stale = slices.DeleteFunc(l.stale, func(w staleWindow) bool { return slices.Contains(ids, w.id) })
}

// take finds the fault that shapes this call, and counts.
func (l *faultList) take(c *call) taken {
	for _, a := range l.armed {
		if !a.strikes(c) {
			continue
		}
		a.seen++
		if a.seen <= a.Skip || (a.Times >= 0 && a.struck >= a.Times) {
			continue
		}
		a.struck++
		c.faultNote = a.id + " " + a.Kind
		return taken{Fault: a.Fault, id: a.id, past: a.past}
	}
	return taken{}
}

// view returns the state that the call's handler reads. Writes always see the
// truth.
func (l *faultList) view(c *call, f taken) world {
	if !isRead(c.r) {
		return c.sb.live
	}
	if f.Kind == KindStale {
		if f.For > 0 {
			matched := f.Fault
			l.stale = append(l.stale, staleWindow{id: f.id, fault: &matched, past: f.past, until: c.now.Add(f.For)})
		}
		return f.past
	}
	l.stale = slices.DeleteFunc(l.stale, func(w staleWindow) bool { return !c.now.Before(w.until) })
	for _, w := range l.stale {
		if w.fault != nil && w.fault.strikes(c) || w.fault == nil && w.vendor == c.route.vendor.name {
			if c.faultNote == "" {
				c.faultNote = w.id + " " + KindStale
			}
			return w.past
		}
	}
	return c.sb.live
}

// freeze opens the window that a write under a stale fault starts.
func (l *faultList) freeze(c *call, f taken, live world) {
	l.stale = append(l.stale, staleWindow{
		id: f.id, vendor: c.route.vendor.name, past: live.clone(), until: c.now.Add(f.For),
	})
}

func isRead(r *http.Request) bool {
	return r.Method == http.MethodGet || r.Method == http.MethodHead
}

func (w world) clone() world {
	return world{okta: w.okta.clone(), asa: w.asa.clone(), mosaic: w.mosaic.clone()}
}
