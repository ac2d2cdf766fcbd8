package unlimited

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// inFlight is how many calls are in flight, on every side.
const inFlight = 32

// bare makes the calls of every action with nothing around them: no queue, no record, a plain client. It is what the
// provider and HTTP cost alone.
func (b *bench) bare(ctx context.Context, j jobs) (spent, error) {
	client := http.Client{Transport: &http.Transport{MaxIdleConns: inFlight, MaxIdleConnsPerHost: inFlight}}
	defer client.CloseIdleConnections()
	next := make(chan int)
	var group sync.WaitGroup
	var once sync.Once
	var failed error
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	measured := watch()
	for range inFlight {
		group.Go(func() {
			for i := range next {
				if err := b.all(ctx, &client, callsOf(j.user(i), j.suspended)); err != nil {
					once.Do(func() { failed = err; cancel() })
				}
			}
		})
	}
	for i := range j.count {
		next <- i
	}
	close(next)
	group.Wait()
	return measured(), failed
}

// all makes calls one after the other; the last one must show that the user is suspended.
func (b *bench) all(ctx context.Context, client *http.Client, calls []call) error {
	var got struct{ ID, Status string }
	for _, c := range calls {
		req, err := http.NewRequestWithContext(ctx, c.Method, b.provider.URL+c.Path, nil)
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "SSWS sample")
		req.Header.Set("Accept", "application/json")
		res, err := client.Do(req)
		if err != nil {
			return err
		}
		err = json.NewDecoder(res.Body).Decode(&got)
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK {
			return fmt.Errorf("%s %s: status %d: %w", c.Method, c.Path, res.StatusCode, err)
		}
	}
	if got.Status != "SUSPENDED" {
		return fmt.Errorf("user %s is %q", got.ID, got.Status)
	}
	return nil
}
