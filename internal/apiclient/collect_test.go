package apiclient

import (
	"errors"
	"iter"
	"reflect"
	"strings"
	"testing"
	"time"

	"keyturn/internal/secret"
)

// A provider whose listing never ends costs its own action a try, and not the memory of all others.
func TestCollectEndsAnEndlessListing(t *testing.T) {
	type item struct{ ID, Name string }
	name := strings.Repeat("n", 1<<10)
	endless := func(yield func(item, error) bool) {
		for yield(item{ID: "1", Name: name}, nil) {
		}
	}
	items, err := collect(iter.Seq2[item, error](endless), 1<<20)
	if CauseOf(err) != Transient || !errors.Is(err, errEndless) {
		t.Errorf("%v, want a transient %v", err, errEndless)
	}
	if n := len(items); n < 900 || n > 1<<10 {
		t.Errorf("%d items of 1 KiB were kept, want about 1,000", n)
	}
	if items, err := collect(iter.Seq2[item, error](endless), 1); len(items) != 0 || err == nil {
		t.Errorf("%d items, %v", len(items), err)
	}
}

// The weight of an item counts what hangs on it, and no zone of a time.
func TestWeight(t *testing.T) {
	type inner struct{ Text string }
	type item struct {
		Text  string
		Raw   []byte
		List  []inner
		Map   map[string]inner
		To    *inner
		Any   any
		Kept  secret.Value
		When  time.Time
		Count int
	}
	empty := weight(reflect.ValueOf(item{}))
	if want := int(reflect.TypeFor[item]().Size()); empty != want {
		t.Errorf("an empty item weighs %d, want %d", empty, want)
	}
	long := strings.Repeat("x", 1000)
	for name, one := range map[string]item{
		"text": {Text: long}, "bytes": {Raw: []byte(long)}, "list": {List: []inner{{long}}}, "map": {Map: map[string]inner{"a": {long}}},
		"pointer": {To: &inner{long}}, "any": {Any: long}, "secret": {Kept: secret.New(long)}, "time": {Text: long, When: time.Now()},
	} {
		if got := weight(reflect.ValueOf(one)) - empty; got < 1000 || got > 1100 {
			t.Errorf("%s: 1,000 bytes weigh %d more than none", name, got)
		}
	}
}
