package burst

import (
	"testing"
	"testing/synctest"
)

// bubble runs f with a clock of its own, which goes on whenever everybody waits: hours take as long as the work in them.
// What waits for something outside, a socket or the disk, has no place in it.
func bubble(f func()) {
	testing.Init() // a test that is not run by go test looks for its flags
	synctest.Test(new(testing.T), func(*testing.T) { f() })
}
