package sandbox

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// InProcessURL is an origin for clients that use [Sandbox.Transport]; any other
// would do as well.
const InProcessURL = "http://sandbox.test"

// Transport returns a round tripper that calls the sandbox without a socket. A
// cut connection is an error that wraps [io.ErrUnexpectedEOF]; the context ends
// a scripted delay with its own error, and an effect that came before stays.
func (sb *Sandbox) Transport() http.RoundTripper { return roundTripper{sb} }

type roundTripper struct{ sb *Sandbox }

// RoundTrip implements [http.RoundTripper].
func (t roundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer req.Body.Close()
	}
	ctx := req.Context()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	in := serverSide(req)
	var (
		status int
		header http.Header
		body   []byte
	)
	if isAdmin(in) {
		status, header, body = t.sb.admin(in).encode()
	} else {
		rep, err := t.sb.answer(in)
		if ctxErr := ctx.Err(); ctxErr != nil {
			return nil, ctxErr
		}
		if err != nil {
			return nil, fmt.Errorf("sandbox: %w: %w", err, io.ErrUnexpectedEOF)
		}
		status, header, body = rep.encode()
	}
	return &http.Response{
		Status:     strconv.Itoa(status) + " " + http.StatusText(status),
		StatusCode: status,
		Proto:      "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header:        header,
		Body:          io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(body)),
		Request:       req,
	}, nil
}

// serverSide is the request as a server would see it.
func serverSide(req *http.Request) *http.Request {
	in := req.Clone(req.Context())
	if in.Host == "" {
		in.Host = req.URL.Host
	}
	in.RequestURI = req.URL.RequestURI()
	if in.Header == nil {
		in.Header = http.Header{}
	}
	if in.Body == nil || in.Body == http.NoBody || in.ContentLength > 0 {
		in.Header.Set("Content-Length", strconv.FormatInt(in.ContentLength, 10))
	}
	return in
}
