package sandbox

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"net/url"
	"slices"
	"sort"
)

// record is a row that knows its place in the order of creation, from 1.
type record interface{ number() int }

// span is the part of a listing that a call asks for.
type span struct {
	after      int  // number of the row that the page starts behind; 0 is the beginning
	limit      int  // rows of the page
	descending bool // youngest first
	back       bool // the page before, not behind, after
}

// cut returns the rows of one page and whether there are more in its direction.
// The ids are in ascending order of their rows.
func cut[R record](ids []string, rows map[string]R, s span, keep func(R) bool) (page []R, more bool) {
	step, i := 1, 0
	if s.descending != s.back {
		step, i = -1, len(ids)-1
	}
	if s.after > 0 {
		i = sort.Search(len(ids), func(k int) bool { return rows[ids[k]].number() > s.after })
		if step < 0 {
			i = sort.Search(len(ids), func(k int) bool { return rows[ids[k]].number() >= s.after }) - 1
		}
	}
	for ; i >= 0 && i < len(ids); i += step {
		row := rows[ids[i]]
		if keep != nil && !keep(row) {
			continue
		}
		if len(page) == s.limit {
			more = true
			break
		}
		page = append(page, row)
	}
	if s.back {
		slices.Reverse(page)
	}
	return page, more
}

// ordered returns all rows in the order of creation.
func ordered[R record](rows map[string]R) []R {
	all := make([]R, 0, len(rows))
	for _, r := range rows {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b R) int { return a.number() - b.number() })
	return all
}

// without returns ids less one of them, in a new array: the old one may belong
// to a snapshot.
func without(ids []string, id string) []string {
	out := make([]string, 0, len(ids))
	for _, s := range ids {
		if s != id {
			out = append(out, s)
		}
	}
	return out
}

// cursor seals a row number for one path, so that callers cannot build one and
// one listing's cursor means nothing to another.
func (sb *Sandbox) cursor(path string, number int) string {
	raw := binary.BigEndian.AppendUint32(nil, uint32(number))
	return base64.RawURLEncoding.EncodeToString(append(sb.cursorSeal(path, raw), raw...))
}

// openCursor returns the row number of a cursor, or false if it was not made
// for this path.
func (sb *Sandbox) openCursor(path, cursor string) (int, bool) {
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(b) != 12 || string(sb.cursorSeal(path, b[8:])) != string(b[:8]) {
		return 0, false
	}
	return int(binary.BigEndian.Uint32(b[8:])), true
}

func (sb *Sandbox) cursorSeal(path string, raw []byte) []byte {
	key := sb.ids.fixed("cursor", 0)
	sum := sha256.Sum256(slices.Concat(key[:], raw, []byte(path)))
	return sum[:8]
}

// linkTo is this call's own full URL with some query parameters set, or removed
// where the value is empty.
func (c *call) linkTo(set map[string]string) string {
	q := url.Values{}
	for k, v := range c.query {
		q[k] = v
	}
	for k, v := range set {
		q.Del(k)
		if v != "" {
			q.Set(k, v)
		}
	}
	u := c.origin + c.r.URL.EscapedPath()
	if len(q) > 0 {
		u += "?" + q.Encode()
	}
	return u
}

// addLink adds one Link line. Each relation has a line of its own, as Okta sends
// them (Okta, "Core Okta API", Pagination).
func addLink(h http.Header, href, rel string) {
	h.Add("Link", "<"+href+`>; rel="`+rel+`"`)
}
