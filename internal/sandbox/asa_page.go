package sandbox

import (
	"net/http"
	"strconv"
)

// asaPageSize is ASA's default ("How the ASA API works", Pagination).
const asaPageSize = 100

// asaSpan reads count, offset, prev and descending.
func asaSpan(c *call) (span, *reply) {
	s := span{limit: asaPageSize}
	bad := func(name string) *reply {
		return refuse(asaError(http.StatusBadRequest, "invalid_request", name+" is invalid"))
	}
	if raw := c.query.Get("count"); raw != "" {
		n, err := strconv.Atoi(raw)
		if err != nil || n < 1 {
			return s, bad("count")
		}
		s.limit = min(n, 1000)
	}
	if offset := c.query.Get("offset"); offset != "" {
		n, ok := c.sb.openCursor(c.r.URL.Path, offset)
		if !ok {
			return s, bad("offset")
		}
		s.after = n
	}
	var ok bool
	if s.back, ok = boolQuery(c, "prev", false); !ok {
		return s, bad("prev")
	}
	if s.descending, ok = boolQuery(c, "descending", false); !ok {
		return s, bad("descending")
	}
	return s, nil
}

// asaList is a page with its Link lines: next and prev as full URLs that keep
// the other parameters.
func asaList[R record, V any](c *call, s span, page []R, more bool, view func(R) V) reply {
	views := make([]V, 0, len(page))
	for _, r := range page {
		views = append(views, view(r))
	}
	out := reply{status: http.StatusOK, body: map[string]any{"list": views}, header: http.Header{}}
	if len(page) == 0 {
		return out
	}
	to := func(r R, prev string) string {
		return c.linkTo(map[string]string{"offset": c.sb.cursor(c.r.URL.Path, r.number()), "prev": prev})
	}
	if more && !s.back || s.back && s.after > 0 {
		addLink(out.header, to(page[len(page)-1], ""), "next")
	}
	if more && s.back || !s.back && s.after > 0 {
		addLink(out.header, to(page[0], "true"), "prev")
	}
	return out
}
