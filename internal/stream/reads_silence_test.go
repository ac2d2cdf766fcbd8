package stream

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
)

// TestASilentHolderIsGivenUp: 10 s after the last sign of it, and not before.
func TestASilentHolderIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		beats := make(chan struct{})
		go func() {
			for range 10 {
				time.Sleep(9 * time.Second)
				beats <- struct{}{}
			}
		}()
		began := time.Now()
		err := follow(context.Background(), make(chan *nats.Msg), beats, nil)
		if took := time.Since(began); err == nil || took != 100*time.Second {
			t.Errorf("%v after %s, want an error after 100 s", err, took)
		}
	})
}
