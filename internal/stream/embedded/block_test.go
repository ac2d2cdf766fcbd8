package embedded

import (
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"github.com/minio/highwayhash"
)

// encode writes a record as the server does.
func encode(t testing.TB, stream string, seq uint64, subject, headers, msg string) []byte {
	t.Helper()
	body := subject
	length := uint32(recordHead + len(subject) + len(msg) + recordHash)
	if headers != "" {
		length += uint32(4 + len(headers))
		body += string(binary.LittleEndian.AppendUint32(nil, uint32(len(headers)))) + headers
		length |= bitHeaders
	}
	head := binary.LittleEndian.AppendUint32(nil, length)
	head = binary.LittleEndian.AppendUint64(head, seq)
	head = binary.LittleEndian.AppendUint64(head, 1700000000)
	head = binary.LittleEndian.AppendUint16(head, uint16(len(subject)))
	key := sha256.Sum256([]byte(stream + "-1"))
	h, err := highwayhash.New64(key[:])
	if err != nil {
		t.Fatal(err)
	}
	_, _ = h.Write(head[4:20])
	_, _ = h.Write([]byte(subject + headers + msg))
	return h.Sum(append(head, body+msg...))
}

func TestScanBlock(t *testing.T) {
	a := encode(t, "S", 1, "x.y", "", "first")
	b := encode(t, "S", 2, "x.y", "NATS/1.0\r\nA: b\r\n\r\n", "second")
	gone := encode(t, "S", 3|bitErased, "", "", "")
	tomb := encode(t, "S", 1|bitTombstone, "", "", "")
	bad := func(rec []byte, at int) []byte {
		rec = append([]byte(nil), rec...)
		rec[at] ^= 1
		return rec
	}
	join := func(parts ...[]byte) (all []byte) {
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	for _, c := range []struct {
		name string
		data []byte
		want block
	}{
		{"empty", nil, block{}},
		{"intact", join(a, b, gone, tomb), block{messages: 2, last: 2}},
		{"damaged first", join(bad(a, 30), b), block{messages: 1, last: 2, damaged: 1}},
		{"damaged length", join(a, bad(b, 0), a), block{messages: 2, last: 1, damaged: 1}},
		{"torn", join(a, b[:len(b)-1]), block{messages: 1, last: 1, torn: len(b) - 1}},
		{"zeroes at the end", join(a, make([]byte, 100)), block{messages: 1, last: 1, torn: 100}},
		{"zeroes in the middle", join(a, make([]byte, 100), b), block{messages: 2, last: 2, damaged: 1}},
		{"another stream's", join(encode(t, "T", 1, "x", "", "")), block{torn: recordHead + 1 + recordHash}},
	} {
		if got, err := scanBlock("S", 1, c.data); err != nil || got != c.want {
			t.Errorf("%s: got %+v, %v, want %+v", c.name, got, err, c.want)
		}
	}
}

func FuzzScanBlock(f *testing.F) {
	f.Add(encode(f, "S", 1, "x.y", "h", "first"))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := scanBlock("S", 1, data)
		if err != nil || b.torn < 0 || b.torn > len(data) {
			t.Errorf("%+v, %v", b, err)
		}
	})
}
