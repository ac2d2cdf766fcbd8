package reads

import "iter"

// rows makes rows of a client's listing.
func rows[T any](seq iter.Seq2[T, error], row func(T) any) Rows {
	return func(yield func(any, error) bool) {
		for v, err := range seq {
			if err != nil {
				yield(nil, FaultOf(err))
				return
			}
			if !yield(row(v), nil) {
				return
			}
		}
	}
}

// some makes rows of what a client gave at once.
func some[T any](list []T, err error, row func(T) any) Rows {
	return func(yield func(any, error) bool) {
		if err != nil {
			yield(nil, FaultOf(err))
			return
		}
		for _, v := range list {
			if !yield(row(v), nil) {
				return
			}
		}
	}
}

// one makes the row of a single object.
func one[T any](v T, err error, row func(T) any) Rows { return some([]T{v}, err, row) }

// limited ends rows after n; 0 = never.
func limited(rows Rows, n int) Rows {
	if n == 0 {
		return rows
	}
	return func(yield func(any, error) bool) {
		left := n
		for v, err := range rows {
			if !yield(v, err) {
				return
			}
			if left--; left == 0 {
				return
			}
		}
	}
}
