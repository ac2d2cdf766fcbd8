package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Durability says how the embedded broker makes an acknowledged message durable.
type Durability string

// The modes of durability.
const (
	Group  Durability = "group"  // one shared barrier per round of messages
	Always Durability = "always" // one fsync per message
)

// UnmarshalText takes one of the modes.
func (d *Durability) UnmarshalText(b []byte) error {
	switch v := Durability(b); v {
	case Group, Always:
		*d = v
		return nil
	}
	return fmt.Errorf("durability: want group or always")
}

// LogFormat is the form of a log line.
type LogFormat string

// The forms of a log line.
const (
	JSON      LogFormat = "json"
	PlainText LogFormat = "text"
)

// UnmarshalText takes one of the forms.
func (f *LogFormat) UnmarshalText(b []byte) error {
	switch v := LogFormat(b); v {
	case JSON, PlainText:
		*f = v
		return nil
	}
	return fmt.Errorf("log format: want json or text")
}

// Bytes is a size.
type Bytes int64

// UnmarshalText takes a whole number above zero, alone or with KiB, MiB, GiB or TiB.
func (b *Bytes) UnmarshalText(text []byte) error {
	s, unit := string(text), int64(1)
	for i, suffix := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if rest, ok := strings.CutSuffix(s, suffix); ok {
			s, unit = strings.TrimSpace(rest), 1<<(10*(i+1))
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 || n > math.MaxInt64/unit {
		return fmt.Errorf("size: want a whole number above zero, alone or with KiB, MiB, GiB or TiB")
	}
	*b = Bytes(n * unit)
	return nil
}

// String gives the size in the largest unit that divides it.
func (b Bytes) String() string {
	units := []string{"", "KiB", "MiB", "GiB", "TiB"}
	n, i := int64(b), 0
	for i < len(units)-1 && n != 0 && n%1024 == 0 {
		n, i = n/1024, i+1
	}
	return strconv.FormatInt(n, 10) + units[i]
}
