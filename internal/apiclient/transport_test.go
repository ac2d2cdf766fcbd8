package apiclient_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"

	"keyturn/internal/apiclient"
)

// handlerTransport answers by a handler in the same process, without a socket.
type handlerTransport struct{ handler http.HandlerFunc }

func (h handlerTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	in := req.Clone(req.Context())
	in.RequestURI, in.Host = req.URL.RequestURI(), req.URL.Host
	h.handler(w, in)
	return w.Result(), nil
}

// inProcess makes a client of a handler in the same process.
func inProcess(transport http.RoundTripper) *apiclient.Client {
	return &apiclient.Client{
		Base: &url.URL{Scheme: "http", Host: "api.example", Path: "/base"}, Transport: transport, UserAgent: "keyturn/test",
		Classify: func(q apiclient.Request, r apiclient.Response, _ apiclient.Budget) *apiclient.Error {
			if r.OK() {
				return nil
			}
			return &apiclient.Error{Op: q.Op, Status: r.Status, Cause: apiclient.Permanent}
		},
	}
}
