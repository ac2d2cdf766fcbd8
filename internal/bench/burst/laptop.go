package burst

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"keyturn/internal/events"
)

// How many leave while laptops are stolen, and how many laptops: one of a few hundred people is stolen every 20 s, so
// that every moment of a window is met.
const (
	busyLeavers   = 600
	stolenLaptops = 54
	stolenEvery   = 20 * time.Second
)

// theft is how the owner of a stolen laptop is named in the event.
type theft string

const (
	byName theft = "ASA user name"
	byMail theft = "e-mail alone"
)

// thefts are how long each took from accepted to verified.
type thefts map[theft][]time.Duration

// steal has so many laptops stolen at moments of its own, in a company of so many staff while some of them leave, and
// gives how long each was usable.
func steal(ctx context.Context, laptops, staff, leaving int, seed uint64) (took thefts, err error) {
	bubble(func() { took, err = stealNow(ctx, laptops, staff, leaving, seed) })
	return took, err
}

func stealNow(ctx context.Context, laptops, staff, leaving int, seed uint64) (thefts, error) {
	c := newCompany(staff, laptops, nil)
	w := newWire(c.Transport(), seed)
	to, err := connect(c.Sandbox, w, w)
	if err != nil {
		return nil, err
	}
	s := newSite(to)
	defer s.close()
	for i, p := range c.leavers[:leaving] {
		id := fmt.Sprintf("leaver%d", i)
		list, err := offboard(id, p, false)
		if err == nil {
			err = s.accept(context.Background(), id, list, nil)
		}
		if err != nil {
			return nil, err
		}
	}
	took, err := s.robbed(ctx, c.travellers, rand.New(rand.NewPCG(seed, 2)))
	s.open.Wait()
	if n := s.buried.Load(); n > 0 {
		err = errors.Join(err, fmt.Errorf("%d dead letters", n))
	}
	return took, err
}

// robbed has the laptops of all travellers stolen, one after the other. What it gives is complete when no case is open.
func (s *site) robbed(ctx context.Context, travellers []person, rng *rand.Rand) (thefts, error) {
	took := thefts{}
	var mu sync.Mutex
	for i, p := range travellers {
		time.Sleep(stolenEvery/2 + time.Duration(rng.Int64N(int64(stolenEvery))))
		if err := ctx.Err(); err != nil {
			return took, err
		}
		how := []theft{byName, byMail}[i%2]
		began := time.Now()
		a, err := stolen(fmt.Sprintf("stolen%d", i), p, how)
		if err == nil {
			err = s.accept(context.Background(), a.Case, []events.Action{a}, func() {
				mu.Lock()
				defer mu.Unlock()
				took[how] = append(took[how], time.Since(began))
			})
		}
		if err != nil {
			return took, err
		}
	}
	return took, nil
}

// stolen is the plan for one stolen laptop.
func stolen(caseID string, p person, how theft) (events.Action, error) {
	who := p.UserRef
	if how == byName {
		who = events.UserRef{ASAUsername: p.asa}
	}
	with := map[string]any{"user": who, "hostname": p.asa + "-0"}
	return step(caseID, "device", "asa.revoke_clients", atASA, events.Urgent, "user:"+p.Email, with)
}

// Laptop measures count times how long a stolen laptop is usable while hundreds leave, and while nobody does.
func Laptop(ctx context.Context, w io.Writer, count int) error {
	idle, busy := thefts{}, thefts{}
	for i := range count {
		for _, run := range []struct {
			leaving int
			into    thefts
		}{{0, idle}, {busyLeavers, busy}} {
			took, err := steal(ctx, stolenLaptops, busyLeavers, run.leaving, uint64(i))
			if err := errors.Join(err, ctx.Err()); err != nil {
				return err
			}
			for how, list := range took {
				run.into[how] = append(run.into[how], list...)
			}
		}
	}
	fmt.Fprintln(w, leavesOut)
	var rows []row
	for _, how := range []theft{byName, byMail} {
		for _, q := range []struct {
			name string
			of   float64
		}{{"p50", 0.5}, {"p99", 0.99}} {
			alone, among := quantile(idle[how], q.of), quantile(busy[how], q.of)
			rows = append(rows, row{what: "owner known by " + string(how) + ", " + q.name, bound: "2 x " + short(alone) + " (idle)",
				ours: short(among), ratio: float64(among) / float64(alone), holds: among <= 2*alone})
		}
	}
	return table(w, fmt.Sprintf("a stolen laptop, accepted to verified, while %d leave (%d of each sort, %d runs together)",
		busyLeavers, count*stolenLaptops/2, count), "", rows)
}

// quantile of times, the greater one of two that it lies between.
func quantile(all []time.Duration, q float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[min(int(q*float64(len(sorted))+0.999999)-1, len(sorted)-1)]
}
