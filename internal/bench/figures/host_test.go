package figures

import "testing"

func TestStolen(t *testing.T) {
	then := demand("cpu  100 10 50 9000 40 5 5 30 7 0")
	now := demand("cpu  150 10 70 9900 90 5 5 60 7 0")
	if got := now.StolenSince(then); got != 30 {
		t.Errorf("30 of 100 ticks that were wanted are %v %%", got)
	}
	if got := (Demand{}).StolenSince(demand("intr 1")); got != 0 {
		t.Errorf("a system that does not tell: %v %%", got)
	}
}
