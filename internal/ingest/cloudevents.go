package ingest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"keyturn/internal/events"
)

// Media types of the CloudEvents HTTP binding (HTTP Protocol Binding 1.0.2, section 3).
const (
	mediaEvents = "application/cloudevents"
	mediaBatch  = "application/cloudevents-batch"
	formatJSON  = "+json"
)

// cloudEvents is the preset of senders that post CloudEvents 1.0 of our own catalogue, in any of the three modes of
// the HTTP binding.
type cloudEvents struct{ unsignedAttributes bool }

// Map tells the mode by the content type, as the binding says (section 3): batched, structured, else binary. The
// parameters of the content type are tolerated.
func (p cloudEvents) Map(d Delivery, v Verified) ([]Draft, error) {
	media, err := contentType(d.Header)
	if err != nil {
		return nil, err
	}
	switch {
	case media == mediaBatch+formatJSON:
		return mapBatch(d.Body)
	case media == mediaEvents+formatJSON:
		return []Draft{mapStructured(d.Body, "")}, nil
	case strings.HasPrefix(media, mediaEvents):
		return nil, &Unsupported{"CloudEvents are taken in the JSON format only"}
	}
	return p.mapBinary(d, v, media)
}

// contentType gives the media type in lower case, and refuses what would have to be decoded first. Of two headers, this
// side and a proxy could each believe another one.
func contentType(h http.Header) (string, error) {
	for _, name := range []string{"Content-Type", "Content-Encoding"} {
		if len(h.Values(name)) > 1 {
			return "", &Unsupported{"the header " + name + " is given twice"}
		}
	}
	if enc := h.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return "", &Unsupported{"a content encoding is not taken"}
	}
	media, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		// A malformed parameter does not make the type unclear.
		media, _, _ = strings.Cut(h.Get("Content-Type"), ";")
		media = strings.ToLower(strings.TrimSpace(media))
	}
	if cs := params["charset"]; cs != "" && !strings.EqualFold(cs, "utf-8") && !strings.EqualFold(cs, "us-ascii") {
		return "", &Unsupported{"a charset other than UTF-8 is not taken"}
	}
	if media == "" {
		return "", &Unsupported{"the content type is missing"}
	}
	return media, nil
}

// isJSON reports whether a media type is JSON (RFC 8259) or a format of it (RFC 6839).
func isJSON(media string) bool {
	return media == "application/json" || media == "text/json" || strings.HasSuffix(media, formatJSON)
}

// mapBatch reads an array of events; an empty one is a valid request (JSON batch format, section 4).
func mapBatch(body []byte) ([]Draft, error) {
	var list []json.RawMessage
	// null is no array, though encoding/json takes it for one.
	if err := json.Unmarshal(body, &list); err != nil || list == nil {
		return nil, Invalid{{Rule: "json: want an array of events"}}
	}
	if len(list) > MaxEvents {
		return nil, &TooMany{len(list)}
	}
	drafts := make([]Draft, len(list))
	for i, one := range list {
		drafts[i] = mapStructured(one, "/"+strconv.Itoa(i))
	}
	return drafts, nil
}

// mapStructured reads one event in the JSON format.
func mapStructured(body []byte, at string) Draft {
	draft := Draft{At: at}
	members, err := events.Members(body)
	if v, bad := errors.AsType[events.Violation](err); bad {
		draft.Faults = []events.Violation{v}
		return draft
	}
	draft.fill(func(name string) string { return draft.text(members, name) })
	draft.structuredData(members)
	draft.demandDay(members)
	return draft
}

// fill reads the context attributes that Keyturn knows. Others are legal and ignored; `scope` among them, which is
// ours alone to say.
func (d *Draft) fill(attribute func(name string) string) {
	if v := attribute("specversion"); v != "1.0" {
		d.fault("/specversion", `must be: "1.0"`)
	}
	d.ID, d.Source, d.Type = attribute("id"), attribute("source"), attribute("type")
	d.Subject, d.Time = attribute("subject"), attribute("time")
	d.Class, d.EffectiveAt, d.TraceParent = attribute("class"), attribute("effectiveat"), attribute("traceparent")
}

// text reads an attribute, all of which are strings in the JSON format; null counts as absent (section 2.2).
func (d *Draft) text(members map[string]json.RawMessage, name string) string {
	raw, ok := members[name]
	if !ok || bytes.Equal(raw, []byte("null")) {
		return ""
	}
	s, err := events.Text(raw)
	if err != nil {
		d.fault("/"+name, "type: want string")
	} else if s == "" {
		d.fault("/"+name, "length: at least 1")
	}
	return s
}

// structuredData finds the data, as JSON or as base64 of JSON.
func (d *Draft) structuredData(members map[string]json.RawMessage) {
	if ct := d.text(members, "datacontenttype"); ct != "" {
		media, _, _ := strings.Cut(ct, ";")
		if !isJSON(strings.ToLower(strings.TrimSpace(media))) {
			d.fault("/datacontenttype", "must be JSON")
		}
	}
	data, plain := members["data"]
	if _, encoded := members["data_base64"]; !encoded {
		d.Data = data
		return
	}
	if plain {
		d.fault("/data_base64", "not together with data")
		return
	}
	raw, err := base64.StdEncoding.DecodeString(d.text(members, "data_base64"))
	if err != nil {
		d.fault("/data_base64", "format: base64")
		return
	}
	d.Data = raw
}

func (d *Draft) fault(field, rule string) {
	d.Faults = append(d.Faults, events.Violation{Field: field, Rule: rule})
}
