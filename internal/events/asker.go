package events

import (
	"net/url"
	"strings"
)

// askedBy begins the CloudEvents source of an event that a person sent with the command line.
const askedBy = "urn:keyturn:send:"

// AskedSource is the CloudEvents source of an event that a person sends with the command line.
func AskedSource(actor string) string { return askedBy + url.PathEscape(actor) }

// Asker is the person who sent an event with the command line; empty where a system did, or where nobody can tell.
func Asker(e Event) string {
	escaped, ok := strings.CutPrefix(e.Source, askedBy)
	if !ok {
		return ""
	}
	actor, err := url.PathUnescape(escaped)
	if err != nil {
		return escaped
	}
	return actor
}
