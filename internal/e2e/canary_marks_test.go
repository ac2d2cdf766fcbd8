package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// marks are the secrets of a run, in every form in which one could come out: as it is, escaped for JSON or a URL, in
// base64 at any place of a longer text, in hex, and as Go prints bytes.
type marks struct {
	mu    sync.Mutex
	names map[string]string // by secret
	forms map[uint64][]form // by their first eight bytes
	begin [1 << 16]bool     // whether any form begins with these two bytes
}

type form struct {
	name string // of the secret
	text string
}

// shortest is the length of the shortest secret: a shorter one would be found by chance.
const shortest = 12

func newMarks() *marks { return &marks{names: map[string]string{}, forms: map[uint64][]form{}} }

// add takes a secret. One that is known already keeps its first name.
func (m *marks) add(name, secret string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.names[secret]; known || len(secret) < shortest {
		return
	}
	m.names[secret] = name
	for _, text := range formsOf(secret) {
		first := binary.LittleEndian.Uint64([]byte(text))
		m.forms[first] = append(m.forms[first], form{name, text})
		m.begin[uint16(first)] = true
	}
}

// known lists the names of the secrets.
func (m *marks) known() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var names []string
	for _, name := range m.names {
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// find gives the names of the secrets that stand in data in any form.
func (m *marks) find(data []byte) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := map[string]bool{}
	for i := 0; i+8 <= len(data); i++ {
		first := binary.LittleEndian.Uint64(data[i:])
		if !m.begin[uint16(first)] {
			continue
		}
		for _, f := range m.forms[first] {
			if bytes.HasPrefix(data[i:], []byte(f.text)) {
				found[f.name] = true
			}
		}
	}
	var names []string
	for name := range found {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// formsOf gives the forms of a secret.
func formsOf(secret string) []string {
	quoted, _ := json.Marshal(secret)
	plain := []string{secret, strings.Trim(string(quoted), `"`), url.QueryEscape(secret), url.PathEscape(secret)}
	var all []string
	for _, s := range plain {
		all = append(all, s, hex.EncodeToString([]byte(s)), strings.ToUpper(hex.EncodeToString([]byte(s))))
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			for before := range 3 {
				all = append(all, within(enc, s, before))
			}
		}
	}
	all = append(all, strings.Trim(fmt.Sprint([]byte(secret)), "[]"), strings.Trim(fmt.Sprintf("%#v", []byte(secret)), "[]byte{}"))
	slices.Sort(all)
	return slices.Compact(all)
}

// within is what is always there of s in the base64 of a longer text, when the number of bytes before it leaves that
// remainder of three.
func within(enc *base64.Encoding, s string, before int) string {
	whole := enc.EncodeToString(append(make([]byte, before), s...))
	return whole[(before*8+5)/6 : (before+len(s))*8/6]
}
