package embedded

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"

	"github.com/minio/highwayhash"
)

// The records of a block file, as nats-server 2.15 writes them (server/filestore.go, writeMsgRecordLocked and
// rebuildStateFromBufLocked): length 4 bytes with a bit for headers, sequence 8 with bits for erased records and
// tombstones, time 8, length of the subject 2; then the subject, the headers behind their length, the message; then
// 8 bytes of HighwayHash-64 over sequence, time, subject, headers and message, under a key made of the stream's name
// and the block's number. All little-endian.
const (
	recordHead = 22
	recordHash = 8
	recordMax  = 32 << 20

	bitHeaders   = 1 << 31
	bitErased    = 1 << 63
	bitTombstone = 1 << 62
)

// block is what a block file holds.
type block struct {
	messages uint64 // intact ones, deleted ones included
	last     uint64 // the highest sequence
	damaged  int    // places where intact records go on only after something that is none
	torn     int    // bytes at the end that are no record
}

// scanBlock reads the block with the given number of a stream.
func scanBlock(stream string, number int, data []byte) (block, error) {
	key := sha256.Sum256(fmt.Appendf(nil, "%s-%d", stream, number))
	h, err := highwayhash.New64(key[:])
	if err != nil {
		return block{}, err
	}
	var b block
	for at := 0; at < len(data); {
		n, seq, ok := record(h, data[at:])
		if !ok {
			skipped := resume(h, data[at:])
			if skipped < 0 {
				b.torn = len(data) - at
				return b, nil
			}
			b.damaged++
			at += skipped
			continue
		}
		if seq&(bitErased|bitTombstone) == 0 {
			b.messages++
			b.last = max(b.last, seq)
		}
		at += n
	}
	return b, nil
}

// record reads the record at the start of data: its length and its sequence, if it is intact.
func record(h hash.Hash, data []byte) (n int, seq uint64, ok bool) {
	if len(data) < recordHead+recordHash {
		return 0, 0, false
	}
	length := binary.LittleEndian.Uint32(data)
	n = int(length &^ bitHeaders)
	subject := int(binary.LittleEndian.Uint16(data[20:]))
	skip := 0 // the length of the headers is not hashed
	if length&bitHeaders != 0 {
		skip = 4
	}
	if n > len(data) || n > recordMax || n < recordHead+subject+skip+recordHash {
		return 0, 0, false
	}
	body := data[recordHead : n-recordHash]
	h.Reset()
	_, _ = h.Write(data[4:20])
	_, _ = h.Write(body[:subject])
	_, _ = h.Write(body[subject+skip:])
	var sum [recordHash]byte
	return n, binary.LittleEndian.Uint64(data[4:]), bytes.Equal(h.Sum(sum[:0]), data[n-recordHash:n])
}

// resume finds the next intact record behind damage: how many bytes lie before it, or -1 when there is none.
func resume(h hash.Hash, data []byte) int {
	for at := 1; at+recordHead+recordHash <= len(data); at++ {
		if _, _, ok := record(h, data[at:]); ok {
			return at
		}
	}
	return -1
}
