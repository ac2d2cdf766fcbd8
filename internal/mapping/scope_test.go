package mapping

import (
	"strings"
	"testing"

	"keyturn/internal/config"
)

// What expressions cost is taken from what the delivery has, and without any left none is evaluated.
func TestExpressionsShareABudget(t *testing.T) {
	c, faults := NewCondition(config.Expr{Source: "body.a + 'y' == 'xy'"}, nil)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	body, err := ParseJSON([]byte(`{"a": "x"}`))
	if err != nil {
		t.Fatal(err)
	}
	s := newScope(c.m, Input{Body: body})
	defer s.close()
	if s.left != maxSpent {
		t.Errorf("a delivery begins with %d, want %d", s.left, maxSpent)
	}
	s.left = 40
	held := 0
	for range 40 {
		ok, err := s.holds(c.run)
		if err == nil && ok {
			held++
		} else if err == nil || !strings.Contains(err.Error(), tooMuch) {
			t.Fatal(ok, err)
		}
	}
	if held == 0 || held == 40 || s.left != 0 {
		t.Errorf("%d of 40 were evaluated, %d are left", held, s.left)
	}
}
