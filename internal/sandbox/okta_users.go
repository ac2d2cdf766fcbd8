package sandbox

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// oktaGetUser finds by id, login or short name; it finds users of every status.
// "me" is the user who made the API token that the call is made with.
func oktaGetUser(c *call) reply {
	u := c.w.okta.byLogin(c.param(0))
	if c.param(0) == "me" {
		u = c.w.okta.users[c.who.user]
	}
	if u == nil {
		return oktaNotFound(c, c.param(0), "User")
	}
	return reply{status: http.StatusOK, body: c.userView(u)}.
		with("Etag", fmt.Sprintf(`W/"%x"`, u.StatusChanged.UnixNano()))
}

// oktaListUsers answers search and filter with one or more comparisons by eq
// joined by and. Without either it leaves out DEPROVISIONED users, as Okta does.
func oktaListUsers(c *call) reply {
	s, refused := oktaSpan(c, 200)
	if refused != nil {
		return *refused
	}
	expression := c.query.Get("search")
	if expression == "" {
		expression = c.query.Get("filter")
	}
	terms, ok := parseSearch(expression)
	if !ok {
		return oktaError(c, http.StatusBadRequest, "E0000031", "Invalid search criteria.", "Unsupported expression.")
	}
	keep := func(u *User) bool { return u.Status != StatusDeprovisioned }
	if len(terms) > 0 {
		keep = func(u *User) bool { return matches(u, terms) }
	}
	page, more := cut(c.w.okta.candidates(terms), c.w.okta.users, s, keep)
	views := make([]oktaUserView, 0, len(page))
	for _, u := range page {
		views = append(views, c.userView(u))
	}
	return oktaPage(c, views, lastOf(page, more))
}

// term is one comparison of a search.
type term struct{ field, value string }

var termForm = regexp.MustCompile(`^\s*([A-Za-z.]+)\s+eq\s+"((?:[^"\\]|\\.)*)"\s*$`)

// searchable are the properties that a comparison may name.
func searchable(u *User, field string) (value string, ok bool) {
	switch field {
	case "id":
		return u.ID, true
	case "status":
		return u.Status, true
	case "profile.login":
		return u.Login, true
	case "profile.email":
		return u.Email, true
	case "profile.employeeNumber":
		return u.EmployeeNumber, true
	case "profile.firstName":
		return u.FirstName, true
	case "profile.lastName":
		return u.LastName, true
	}
	return "", false
}

// parseSearch splits at " and " between comparisons; ok is false for anything
// else that Okta's language has.
func parseSearch(expression string) (terms []term, ok bool) {
	if strings.TrimSpace(expression) == "" {
		return nil, true
	}
	for _, part := range splitOutsideQuotes(expression, " and ") {
		m := termForm.FindStringSubmatch(part)
		if m == nil {
			return nil, false
		}
		if _, known := searchable(&User{}, m[1]); !known {
			return nil, false
		}
		terms = append(terms, term{m[1], strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(m[2])})
	}
	return terms, true
}

// splitOutsideQuotes splits s at each sep that is not inside a quoted string.
func splitOutsideQuotes(s, sep string) []string {
	var parts []string
	quoted, start := false, 0
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case !quoted && strings.HasPrefix(s[i:], sep):
			parts = append(parts, s[start:i])
			i += len(sep) - 1
			start = i + 1
		}
	}
	return append(parts, s[start:])
}

// matches compares without regard to case, as Okta's eq does for strings.
func matches(u *User, terms []term) bool {
	for _, t := range terms {
		if v, _ := searchable(u, t.field); !strings.EqualFold(v, t.value) {
			return false
		}
	}
	return true
}

// candidates narrows a search by an index where there is one.
func (s *oktaState) candidates(terms []term) []string {
	for _, t := range terms {
		switch t.field {
		case "profile.employeeNumber":
			return s.employees[t.value]
		case "profile.login":
			return s.known(s.logins[strings.ToLower(t.value)])
		case "id":
			return s.known(t.value)
		}
	}
	return s.userOrder
}

func (s *oktaState) known(id string) []string {
	if s.users[id] == nil {
		return nil
	}
	return []string{id}
}

// sessionsEnd notes the end of each session of a user.
func (c *call) sessionsEnd(userID string) {
	s := c.w.okta
	for _, id := range slices.Clone(s.userSessions[userID]) {
		c.change("okta.session.ended "+id, func() { s.removeSession(id) })
	}
}

// tokensRevoked notes the revocation of each of these tokens.
func (c *call) tokensRevoked(ids []string) {
	s := c.w.okta
	for _, id := range slices.Clone(ids) {
		c.change("okta.token.revoked "+id, func() { s.removeToken(id) })
	}
}

// grantsRevoked notes the revocation of each of these grants.
func (c *call) grantsRevoked(ids []string) {
	s := c.w.okta
	for _, id := range slices.Clone(ids) {
		c.change("okta.grant.revoked "+id, func() { s.removeGrant(id) })
	}
}
