// Package slowsync makes the disk of this process slow, for measurements: every fsync, fdatasync and syncfs waits for a
// chosen time before the kernel begins it. The call itself is made as ever, by whoever makes it, so that strategies
// that sync differently (the server's own fsync per message, our shared syncfs) are measured by the same disk.
//
// It is not for production: only measurements and their tests import it. Files opened with O_SYNC are not delayed.
package slowsync

import (
	"sync/atomic"
	"time"
)

// Delay is the delay in force.
type Delay struct{ ns atomic.Int64 }

// Set makes every sync that begins from now on wait for d first.
func (d *Delay) Set(wait time.Duration) { d.ns.Store(int64(wait)) }
