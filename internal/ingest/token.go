package ingest

import (
	"crypto/sha256"
	"crypto/subtle"

	"keyturn/internal/secret"
)

// tokens are secret texts of which one must be shown. What is kept are their digests: of the same length whatever the
// secret's, and worth nothing to whoever reads this memory.
type tokens [][sha256.Size]byte

func newTokens(values []secret.Value) tokens {
	var t tokens
	for _, v := range values {
		t = append(t, sha256.Sum256([]byte(v.Reveal())))
	}
	return t
}

// match gives the index of the token that a text is. Every one is compared, wherever the right one stands.
func (t tokens) match(text string) (int, bool) {
	got, key, found := sha256.Sum256([]byte(text)), 0, 0
	for i := range t {
		same := subtle.ConstantTimeCompare(got[:], t[i][:])
		key = subtle.ConstantTimeSelect(same, i, key)
		found |= same
	}
	return key, found == 1
}
