package events

import (
	"encoding/binary"
	"math/bits"
)

// The scanners look at eight bytes at a time (Lamport, "Multiple byte processing with full-word instructions", 1975):
// nearly all of a delivery is the inside of strings, in which hardly a byte means anything.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// zeros marks the bytes of x that are 0 by their highest bit. Above the first of them others may be marked wrongly:
// only the lowest mark counts.
func zeros(x uint64) uint64 { return (x - ones) &^ x & highs }

// below marks the bytes of x that are less than n, which is at most 128, as zeros does.
func below(x uint64, n byte) uint64 { return (x - ones*uint64(n)) &^ x & highs }

// quoted gives the index of the first byte from i on that a JSON string does not simply hold: a quote, a backslash or a
// control character; the length of the text when there is none.
func quoted(text []byte, i int) int {
	for ; i+8 <= len(text); i += 8 {
		x := binary.LittleEndian.Uint64(text[i:])
		if m := zeros(x^ones*'"') | zeros(x^ones*'\\') | below(x, ' '); m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
	}
	for ; i < len(text); i++ {
		if c := text[i]; c == '"' || c == '\\' || c < ' ' {
			break
		}
	}
	return i
}

// unplain gives the index of the first byte of s from i on that does not stand for itself in canonical form (plain);
// the length when there is none.
func unplain[T string | []byte](s T, i int) int {
	for ; i+8 <= len(s); i += 8 {
		x := uint64(s[i]) | uint64(s[i+1])<<8 | uint64(s[i+2])<<16 | uint64(s[i+3])<<24 |
			uint64(s[i+4])<<32 | uint64(s[i+5])<<40 | uint64(s[i+6])<<48 | uint64(s[i+7])<<56
		m := zeros(x^ones*'"') | zeros(x^ones*'\\') | below(x, ' ') |
			zeros(x^ones*'<') | zeros(x^ones*'>') | zeros(x^ones*'&') | zeros(x^ones*0xE2)
		if m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
	}
	for i < len(s) && plain(s[i]) {
		i++
	}
	return i
}
