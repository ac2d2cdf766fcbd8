package secret

import (
	"errors"
	"net"
	"net/textproto"
	"net/url"
	"strings"
)

// Unquoted takes out of an error of net/http what may name a person or hold a secret: the URL with its query, and what it
// quotes of a reply, as of one that is no HTTP or leads to an address that cannot be read. nil stays nil.
func Unquoted(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	if _, ok := errors.AsType[textproto.ProtocolError](err); ok {
		return errors.New("malformed header in the reply")
	}
	if _, ok := errors.AsType[net.Error](err); ok || err == nil {
		return err
	}
	if text, _, quotes := strings.Cut(err.Error(), `"`); quotes {
		return errors.New(strings.TrimSpace(text))
	}
	return err
}
