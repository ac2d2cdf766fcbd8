package unlimited

import "testing"

// TestSidesMakeTheSameCalls: what is compared is the same work.
func TestSidesMakeTheSameCalls(t *testing.T) {
	p, err := StartProvider(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	b := &bench{dir: t.TempDir(), provider: p}
	for _, suspended := range []bool{false, true} {
		rows := map[string]*row{}
		const count = 40
		for _, s := range b.sides() {
			if err := b.once(t.Context(), s, jobs{count: count, suspended: suspended}, rows); err != nil {
				t.Fatalf("%s: %v", s.name, err)
			}
		}
		// One call more tells Keyturn whose its token is, once in the life of a client.
		if bare, ours := rows[sideBare].calls, rows[sideLanes].calls; ours < bare || ours > bare+1.0/count {
			t.Errorf("users suspended before: %t: %.3f calls an action, and %.3f alone", suspended, ours, bare)
		}
	}
}
