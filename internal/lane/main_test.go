package lane_test

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails when anything that a lane, a gate or a breaker began is still running in the end.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
