package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"keyturn/internal/config"
	"keyturn/internal/events"
	"keyturn/internal/mapping"
)

// What a source answers to a genuine delivery that cannot be mapped (on_fault).
const (
	faultReject = "reject"
	faultRetry  = "retry"
)

// errUnknownWord refuses what the preset wants to be refused.
var errUnknownWord = errors.New("the type of an item is unknown")

// proofs lists the expressions by which items prove something (body_token).
func proofs(v VerifySpec, at config.Position) []config.Expr {
	var list []config.Expr
	if v.BodyToken != nil {
		list = append(list, config.Expr{Source: v.BodyToken.At, At: at})
	}
	for _, one := range append(append([]VerifySpec(nil), v.AllOf...), v.AnyOf...) {
		list = append(list, proofs(one, at)...)
	}
	return list
}

// input is a verified delivery as a mapping sees it. The error is Invalid: the body cannot be read.
func (s *Source) input(d Delivery, v Verified) (mapping.Input, error) {
	body := d.Body
	if v.Body != nil {
		body = v.Body
	}
	tree, err := s.mapping.Parse(body)
	if err != nil {
		return mapping.Input{}, Invalid{{Rule: err.Error()}}
	}
	in := mapping.Input{Received: d.Received, Body: tree, Header: map[string]string{}, Query: map[string]string{}}
	for _, name := range s.headers {
		if values := d.Header.Values(name); len(values) > 0 {
			in.Header[name] = strings.Join(values, ", ")
		}
	}
	if len(s.mapping.Queries()) > 0 {
		query, _ := url.ParseQuery(d.URL.RawQuery)
		for _, name := range s.mapping.Queries() {
			if values := query[name]; len(values) > 0 {
				in.Query[name] = values[0]
			}
		}
	}
	in.Verified = map[string]any{"issuer": v.Issuer, "key": int64(v.Key)}
	if len(v.Claims) > 0 && v.Body == nil { // those of a security event token are the body
		claims, err := mapping.ParseJSON(v.Claims)
		if err != nil {
			return mapping.Input{}, Invalid{{Rule: err.Error()}}
		}
		in.Verified["claims"] = claims
	}
	return in, nil
}

// mapped is what a delivery gives: events that can be stored, and what is wrong with the rest.
type mapped struct {
	events []events.Event
	faults []mapping.Fault
	result mapping.Result
}

// events maps a delivery and checks what comes out. What the catalogue refuses is a fault of its item, like what the
// mapping could not do: the sender cannot mend either.
func (s *Source) events(in mapping.Input, d Delivery) (mapped, error) {
	r := s.mapping.Map(in)
	m := mapped{faults: r.Faults, result: r}
	drafts := make([]Draft, len(r.Drafts))
	items := make([]int, len(r.Drafts))
	for i, from := range r.Drafts {
		items[i] = from.Item
		drafts[i] = Draft{
			ID: from.ID, Source: from.Source, Type: from.Type, Time: from.Time, Class: from.Class,
			EffectiveAt: from.EffectiveAt, Data: from.Data,
		}
	}
	list, err := complete(drafts, s, d)
	invalid, isInvalid := err.(Invalid)
	if !isInvalid {
		m.events = list
		return m, err
	}
	broken := map[int]string{}
	for _, p := range invalid {
		if broken[p.Event] == "" {
			broken[p.Event] = p.Field + ": " + p.Rule
		}
	}
	var good []Draft
	for i, draft := range drafts {
		if why, bad := broken[i]; bad {
			m.faults = append(m.faults, mapping.Fault{Item: items[i], Err: fmt.Errorf("the event: %s", strings.TrimPrefix(why, ": "))})
			continue
		}
		good = append(good, draft)
	}
	m.events, err = complete(good, s, d)
	return m, err
}

// takeMapped maps, checks and publishes a delivery that is proven to be its sender's, by the expressions of its
// source. The events that it gives are stored before the fault is, so that one odd item keeps none of the others.
func (h *Handler) takeMapped(ctx context.Context, s *Source, d Delivery, v Verified, rec *record) answer {
	if enc := d.Header.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return refuse(http.StatusUnsupportedMediaType, "a content encoding is not taken")
	}
	in, err := s.input(d, v)
	if err != nil {
		rec.err = err
		return s.refuseBody(err)
	}
	if a, refused := s.prove(in, v, rec); refused {
		return a
	}
	if a, shook := h.shaken(ctx, s, d, v, in, rec); shook {
		return a
	}
	m, err := s.events(in, d)
	rec.items, rec.unknown, rec.skipped, rec.faults = m.result.Items, m.result.Unknown, m.result.Skipped, len(m.faults)
	switch {
	case err != nil:
		return h.mapFailed(ctx, s, d, err, rec)
	case m.result.Refused:
		rec.err = errUnknownWord
		return s.refuseBody(errUnknownWord)
	}
	a, cases := h.store(ctx, s, m.events, rec)
	if !rec.stored {
		return a
	}
	// Dying here: the events are on disk and the fault is not. The sender was told nothing, and repeats.
	if len(m.faults) > 0 {
		return h.keepFault(ctx, s, d, in, m.faults, cases, rec)
	}
	return a
}

// shaken answers a delivery that makes no event because it only tries the connection, or hands over a token.
func (h *Handler) shaken(ctx context.Context, s *Source, d Delivery, v Verified, in mapping.Input, rec *record) (answer, bool) {
	if is, kept := h.handed(s, in); is && !kept {
		rec.err = errUnawaited
		return s.refusal(errUnawaited), true
	} else if is {
		rec.handshake = true
		return s.accepted(nil, ""), true
	}
	shook, err := s.settled(in, v)
	if errors.Is(err, errState) {
		rec.err = err
		return s.refusal(err), true
	}
	if err != nil {
		return h.keepFault(ctx, s, d, in, []mapping.Fault{{Item: -1, Err: err}}, nil, rec), true
	}
	rec.handshake = shook
	return s.accepted(nil, ""), shook
}

// keepFault stores what could not be mapped, for a person to look at, and answers as the source says.
func (h *Handler) keepFault(ctx context.Context, s *Source, d Delivery, in mapping.Input, faults []mapping.Fault, cases []string, rec *record) answer {
	f := s.fault(d, mapping.Keep(in, faults, cases), faults, h.maxEvent)
	rec.err = fmt.Errorf("mapping: %s", f.Error)
	rec.faults = len(faults)
	if err := h.publish(ctx, func(ctx context.Context) error { return h.publisher.PublishFault(ctx, f) }); err != nil {
		rec.err = err
		return unavailable(waitOf(err))
	}
	switch s.onFault {
	case faultReject:
		return s.refuseBody(errors.New("cannot be mapped; kept as " + f.ID))
	case faultRetry:
		return unavailable(retryAfter)
	}
	return s.accepted(cases, f.ID)
}

// fault is what is kept of a delivery that could not be mapped: what was left of the body, and of the rest of the
// request what its mapping looks at, so that a mended mapping can be applied to it.
func (s *Source) fault(d Delivery, keep mapping.Kept, faults []mapping.Fault, most int) events.Fault {
	f := events.Fault{ID: faultID(s.name, d.Body, keep.Header, keep.Query), Source: s.name, Time: d.Received}
	f.Error = describe(faults)
	kept, err := json.Marshal(keep)
	if err != nil || len(kept) > most-keptHead {
		f.Error += "; too large to be kept: have it sent again"
		return f
	}
	f.Body = kept
	return f
}

// faultID is the same whenever a delivery is sent again, and another for whatever the mapping sees another of. Each part
// has its length before it, so that no two deliveries are written alike.
func faultID(source string, body []byte, header, query map[string]string) string {
	h := sha256.New()
	part := func(text []byte) { _, _ = fmt.Fprintf(h, "%d:%s,", len(text), text) }
	part([]byte(source))
	part(body)
	for _, list := range []map[string]string{header, query} {
		for _, name := range slices.Sorted(maps.Keys(list)) {
			part([]byte(name))
			part([]byte(list[name]))
		}
		part(nil)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// keptHead is what a fault needs beside its body, in bytes.
const keptHead = 16 << 10

// maxDescribed bounds the items of which a fault tells what is wrong.
const maxDescribed = 5

// describe says what is wrong with a delivery, and with which of its items.
func describe(faults []mapping.Fault) string {
	var lines []string
	for _, f := range faults[:min(len(faults), maxDescribed)] {
		what := brief(f.Err)
		if f.Item >= 0 {
			what = "item " + strconv.Itoa(f.Item) + ": " + what
		}
		lines = append(lines, what)
	}
	if more := len(faults) - len(lines); more > 0 {
		lines = append(lines, "and "+strconv.Itoa(more)+" more items")
	}
	return strings.Join(lines, "; ")
}

// brief says which key of the source an expression stands at, and what is wrong with it. The file's own place changes
// with every line that is written above, and its path is of this machine.
func brief(err error) string {
	faults, ok := errors.AsType[config.Faults](err)
	if !ok || len(faults) == 0 {
		return err.Error()
	}
	path := faults[0].Path
	if _, below, inSource := strings.Cut(path, ".map."); inSource {
		path = "map." + below
	}
	return path + ": " + faults[0].What
}

// prove wants of every item what the proof of the source leaves to them, and takes it out of the body.
func (s *Source) prove(in mapping.Input, v Verified, rec *record) (answer, bool) {
	if v.Pending == nil {
		return answer{}, false
	}
	texts, err := s.mapping.Texts(in, v.Pending.At)
	if err == nil {
		err = v.Pending.Match(texts)
	}
	v.Pending.Forget(in.Body)
	if err != nil {
		rec.err = err
		return s.refusal(err), true
	}
	rec.key, rec.verified = v.Pending.Key(), true
	return answer{}, false
}
