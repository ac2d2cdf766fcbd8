package ingest

import (
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"keyturn/internal/config"
)

// maxSignatures bounds the entries of a signature header that are looked at; a rotation needs two.
const maxSignatures = 32

// form is how a sender writes its signature: where it stands, and what it covers.
type form struct {
	sig     SignatureSpec
	stamp   TimestampSpec
	parts   []string
	covered []string // lower-case names of the headers among the parts
}

func newForm(sig SignatureSpec, stamp TimestampSpec, parts []string) form {
	if stamp.Tolerance == 0 {
		stamp.Tolerance = DefaultTolerance
	}
	if len(parts) == 0 {
		parts = []string{config.SignedBody}
		if stamp.Sent() {
			parts = []string{config.SignedTimestamp, ".", config.SignedBody}
		}
	}
	f := form{sig: sig, stamp: stamp, parts: parts}
	for _, p := range parts {
		if name, ok := strings.CutPrefix(p, config.SignedHeader); ok {
			f.covered = append(f.covered, strings.ToLower(name))
		}
		if p == config.SignedTimestamp && stamp.Header != "" {
			f.covered = append(f.covered, strings.ToLower(stamp.Header))
		}
	}
	return f
}

// signed is what a delivery brings: its signatures, and the time it says it was sent.
type signed struct {
	entries    []string // of the signature header
	signatures []string
	stamp      string
	sent       time.Time
}

// glance wants the signature, and the timestamp where one is sent in a header.
func (f *form) glance(h http.Header) error {
	if _, ok := single(h, f.sig.Header); !ok {
		return errNoSignature
	}
	if f.stamp.Header == "" {
		return nil
	}
	if _, ok := single(h, f.stamp.Header); !ok {
		return errNoTimestamp
	}
	return nil
}

// read takes the signature header apart.
func (f *form) read(h http.Header) (signed, error) {
	var s signed
	value, ok := single(h, f.sig.Header)
	if !ok {
		return s, errNoSignature
	}
	s.entries = []string{value}
	if f.sig.Split != "" {
		s.entries = strings.SplitN(value, f.sig.Split, maxSignatures+1)
		s.entries = s.entries[:min(len(s.entries), maxSignatures)]
	}
	for i, e := range s.entries {
		if f.sig.Split != "" {
			e = strings.Trim(e, " ")
			s.entries[i] = e
		}
		if e, ok = f.signature(e); ok {
			s.signatures = append(s.signatures, e)
		}
	}
	if len(s.signatures) == 0 {
		return s, errBadSignature
	}
	return s, f.readStamp(h, &s)
}

// signature gives the signature of an entry, if it is one.
func (f *form) signature(entry string) (string, bool) {
	if f.sig.Pair != "" {
		name, value, ok := strings.Cut(entry, f.sig.Pair)
		if !ok || !slices.Contains(f.sig.Versions, name) {
			return "", false
		}
		entry = value
	}
	entry, ok := strings.CutPrefix(entry, f.sig.Prefix)
	return entry, ok && entry != ""
}

func (f *form) readStamp(h http.Header, s *signed) error {
	ok := true
	switch {
	case f.stamp.Header != "":
		s.stamp, ok = single(h, f.stamp.Header)
	case f.stamp.Field != "":
		s.stamp, ok = f.field(*s, f.stamp.Field)
	default:
		return nil
	}
	if ok {
		s.sent, ok = instant(s.stamp, f.stamp.Unit)
	}
	if !ok {
		return errNoTimestamp
	}
	return nil
}

// field gives the entry of that name, which must be there exactly once.
func (f *form) field(s signed, name string) (value string, ok bool) {
	for _, e := range s.entries {
		if n, v, pair := strings.Cut(e, f.sig.Pair); pair && n == name {
			if ok {
				return "", false
			}
			value, ok = v, true
		}
	}
	return value, ok && value != ""
}

// instant reads a timestamp in one spelling only.
func instant(s, unit string) (time.Time, bool) {
	switch unit {
	case "ms":
		n, ok := digits(s, 15)
		return time.UnixMilli(n), ok
	case "rfc3339":
		t, err := time.Parse(time.RFC3339Nano, s)
		return t, err == nil
	}
	return seconds(s)
}

// write gives the bytes that are signed.
func (f *form) write(w io.Writer, d Delivery, s signed) error {
	for _, p := range f.parts {
		switch p {
		case config.SignedBody:
			_, _ = w.Write(d.Body)
			continue
		case config.SignedTimestamp:
			p = s.stamp
		case config.SignedMethod:
			p = d.Method
		case config.SignedPath:
			p = d.URL.EscapedPath()
		case config.SignedURL:
			p = d.URL.RequestURI()
		default:
			var err error
			if p, err = f.variable(p, d, s); err != nil {
				return err
			}
		}
		_, _ = io.WriteString(w, p)
	}
	return nil
}

// variable gives a part that names something, or the part itself.
func (f *form) variable(part string, d Delivery, s signed) (string, error) {
	if name, ok := strings.CutPrefix(part, config.SignedHeader); ok {
		// An absent header signs as empty, so that a sender may sign a header that it does not always send.
		if len(d.Header.Values(name)) > 1 {
			return "", errNoPart
		}
		return d.Header.Get(name), nil
	}
	if name, ok := strings.CutPrefix(part, config.SignedField); ok {
		value, ok := f.field(s, name)
		if !ok {
			return "", errNoPart
		}
		return value, nil
	}
	return part, nil
}

// fresh refuses a delivery whose time is too far from now.
func (f *form) fresh(d Delivery, s signed) error {
	if !f.stamp.Sent() {
		return nil
	}
	ok := within(d.Received, s.sent, f.stamp.Tolerance)
	d.say(ok, "timestamp", func() string {
		return fmt.Sprintf("%s from now; the tolerance is %s", d.Received.Sub(s.sent).Abs().Round(time.Second), f.stamp.Tolerance)
	})
	if !ok {
		return errStale
	}
	return nil
}

// describe tells what was signed, without any of it.
func (f *form) describe(d Delivery, s signed) string {
	names := make([]string, len(f.parts))
	for i, p := range f.parts {
		switch {
		case p == config.SignedBody:
			names[i] = fmt.Sprintf("body (%d bytes)", len(d.Body))
		case p == config.SignedTimestamp:
			names[i] = "timestamp " + strconv.Quote(s.stamp)
		case p == config.SignedMethod, p == config.SignedPath, p == config.SignedURL,
			strings.HasPrefix(p, config.SignedHeader), strings.HasPrefix(p, config.SignedField):
			names[i] = p
		default:
			names[i] = strconv.Quote(p)
		}
	}
	return strings.Join(names, " + ")
}

// stampNow is the timestamp of a request that is signed now.
func (f *form) stampNow(now time.Time) string {
	switch f.stamp.Unit {
	case "ms":
		return strconv.FormatInt(now.UnixMilli(), 10)
	case "rfc3339":
		return now.UTC().Format(time.RFC3339)
	}
	return strconv.FormatInt(now.Unix(), 10)
}

// entry writes one signature as the header carries it, behind the timestamp where that is a field.
func (f *form) entry(signature, stamp string) string {
	signature = f.sig.Prefix + signature
	if f.sig.Pair == "" {
		return signature
	}
	signature = f.sig.Versions[0] + f.sig.Pair + signature
	if f.stamp.Field != "" {
		signature = f.stamp.Field + f.sig.Pair + stamp + f.sig.Split + signature
	}
	return signature
}

// encoding is how a signature is written.
type encoding struct {
	encode  func([]byte) string // without padding
	decode  func(string) ([]byte, error)
	anyCase bool
	padded  bool // may have padding
}

func newEncoding(name string) encoding {
	switch name {
	case "base64":
		return encoding{encode: base64.RawStdEncoding.EncodeToString, decode: base64.RawStdEncoding.Strict().DecodeString, padded: true}
	case "base64url":
		return encoding{encode: base64.RawURLEncoding.EncodeToString, decode: base64.RawURLEncoding.Strict().DecodeString, padded: true}
	}
	return encoding{encode: hex.EncodeToString, decode: hex.DecodeString, anyCase: true}
}

// plain takes padding and upper case away, where they mean nothing; n is the number of bytes that are encoded.
func (e encoding) plain(s string, n int) string {
	if e.anyCase {
		return strings.ToLower(s)
	}
	if pad := (3 - n%3) % 3; e.padded && len(s) == (n+2)/3*4 {
		return strings.TrimSuffix(s, "=="[:pad])
	}
	return s
}

// equal compares in a time that does not depend on where two texts differ.
func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
