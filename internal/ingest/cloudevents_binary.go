package ingest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// headerCE begins the header of a context attribute in binary mode.
const headerCE = "ce-"

// mapBinary reads one event whose attributes are headers and whose data is the body.
func (p cloudEvents) mapBinary(d Delivery, v Verified, media string) ([]Draft, error) {
	if d.Header.Get(headerCE+"specversion") == "" {
		return nil, &Unsupported{"want a CloudEvent: application/cloudevents+json, application/cloudevents-batch+json, or ce- headers"}
	}
	if !isJSON(media) {
		return nil, &Unsupported{"the data of an event must be JSON"}
	}
	var draft Draft
	attributes := draft.headers(d.Header)
	if _, ok := attributes["datacontenttype"]; ok {
		draft.fault("/datacontenttype", "not in binary mode: the content type says it")
	}
	if !p.unsignedAttributes {
		draft.demandCover(attributes, v)
	}
	draft.fill(func(name string) string { return attributes[name] })
	draft.Data = d.Body
	draft.demandDay(quoted(attributes))
	return []Draft{draft}, nil
}

// quoted gives attributes as members of JSON.
func quoted(attributes map[string]string) map[string]json.RawMessage {
	members := make(map[string]json.RawMessage, len(attributes))
	for name, text := range attributes {
		members[name], _ = json.Marshal(text) // a text always can be
	}
	return members
}

// demandCover refuses attributes that the signature does not cover.
func (d *Draft) demandCover(attributes map[string]string, v Verified) {
	for name := range attributes {
		if !v.covers(headerCE + name) {
			d.Faults = nil
			d.fault("", "binary mode: the signature does not cover the "+headerCE+" headers: send structured mode, sign them, or let the source accept unsigned attributes")
			return
		}
	}
}

// headers collects the attributes of binary mode, decoded.
func (d *Draft) headers(h http.Header) map[string]string {
	attributes := map[string]string{}
	for header, values := range h {
		name, ok := strings.CutPrefix(strings.ToLower(header), headerCE)
		if !ok || name == "" {
			continue
		}
		if len(values) != 1 {
			d.fault("/"+name, "given twice")
			continue
		}
		text, ok := decodeHeader(values[0])
		if !ok {
			d.fault("/"+name, "encoding: want percent-encoded UTF-8")
			continue
		}
		attributes[name] = text
	}
	return attributes
}

// decodeHeader undoes the quoting and then one round of percent-encoding (HTTP Protocol Binding 1.0.2, section
// 3.1.3.2). What is then not UTF-8 is refused, overlong forms included.
func decodeHeader(value string) (string, bool) {
	if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		value = unquote(value[1 : len(value)-1])
	}
	text, err := url.PathUnescape(value)
	return text, err == nil && utf8.ValidString(text)
}

// unquote undoes the backslashes of a quoted string (RFC 9110, section 5.6.4).
func unquote(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
