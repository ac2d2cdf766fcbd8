package apiclient

import (
	"errors"
	"fmt"
	"iter"
	"reflect"
	"time"
)

// What a collected listing may hold in memory, in bytes. A listing has as many pages as its provider says, and other
// connections live in the same memory.
const (
	mostCollected = 32 << 20  // of one person, or of what an org has few of
	mostGathered  = 256 << 20 // of everybody: some 700,000 refresh tokens, or a million users of a team
)

// Collect reads a listing of one person, or of what there are few of, to its end. With an error the items are those
// before it; one that is too large for that is such an error, and transient.
func Collect[T any](seq iter.Seq2[T, error]) ([]T, error) { return collect(seq, mostCollected) }

// Gather is Collect for a listing of everybody, of which one is read at a time.
func Gather[T any](seq iter.Seq2[T, error]) ([]T, error) { return collect(seq, mostGathered) }

func collect[T any](seq iter.Seq2[T, error], most int) ([]T, error) {
	var items []T
	held := 0
	for item, err := range seq {
		if err != nil {
			return items, err
		}
		if held += weight(reflect.ValueOf(&item).Elem()); held > most {
			return items, fmt.Errorf("%w: %d items of it are more than %d MiB", errEndless, len(items), most>>20)
		}
		items = append(items, item)
	}
	return items, nil
}

// errEndless says that a listing is larger than any is.
var errEndless = errors.New("the listing has no end that can be waited for")

// weight is about what a value holds in memory, in bytes.
func weight(v reflect.Value) int {
	n := int(v.Type().Size())
	switch v.Kind() {
	case reflect.String:
		n += v.Len()
	case reflect.Slice:
		if e := v.Type().Elem(); e.Kind() <= reflect.Complex128 {
			return n + v.Len()*int(e.Size())
		}
		for i := range v.Len() {
			n += weight(v.Index(i))
		}
	case reflect.Map:
		for at := v.MapRange(); at.Next(); {
			n += weight(at.Key()) + weight(at.Value())
		}
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			n += weight(v.Elem())
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return n // its zone is everybody's
		}
		for i := range v.NumField() {
			f := v.Field(i)
			n += weight(f) - int(f.Type().Size())
		}
	}
	return n
}
