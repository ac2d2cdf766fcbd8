package sandbox

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
)

// idSource derives ids and secrets from a seed, so that a run can be repeated.
// It is not safe for concurrent use.
type idSource struct {
	seed uint64
	next map[string]uint64
}

func newIDSource(seed uint64) *idSource {
	return &idSource{seed: seed, next: map[string]uint64{}}
}

// take returns the next 32 bytes of one kind. Kinds count apart: adding a user
// does not change the id of the next token.
func (s *idSource) take(kind string) [32]byte {
	s.next[kind]++
	return s.fixed(kind, s.next[kind])
}

// fixed returns the nth 32 bytes of one kind without using it up.
func (s *idSource) fixed(kind string, n uint64) [32]byte {
	buf := make([]byte, 0, 64)
	buf = binary.BigEndian.AppendUint64(buf, s.seed)
	buf = binary.BigEndian.AppendUint64(buf, n)
	return sha256.Sum256(append(buf, kind...))
}

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// okta returns an id as Okta writes them: a three-letter prefix for the type
// and 17 letters and digits.
func (s *idSource) okta(prefix string) string {
	sum := s.take(prefix)
	id := make([]byte, 0, 20)
	id = append(id, prefix...)
	for _, b := range sum[:17] {
		id = append(id, base62[int(b)%len(base62)])
	}
	return string(id)
}

// uuid returns a version 4 UUID.
func (s *idSource) uuid(kind string) string {
	b := s.take(kind)
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16])
}

// secret returns 43 characters that stand for a secret of this kind.
func (s *idSource) secret(kind string) string {
	b := s.take(kind)
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// jwt returns a bearer token with the outer form of a JWT. Callers treat it as
// opaque; the sandbox looks it up and never verifies it.
func (s *idSource) jwt(claims string) string {
	const header = `{"alg":"HS256","typ":"JWT"}`
	enc := base64.RawURLEncoding
	return enc.EncodeToString([]byte(header)) + "." + enc.EncodeToString([]byte(claims)) + "." + s.secret("jwt")
}
