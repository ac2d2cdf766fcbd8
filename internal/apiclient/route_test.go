package apiclient_test

import (
	"testing"

	"keyturn/internal/apiclient"
)

func TestRoutesNameTheBucket(t *testing.T) {
	routes := apiclient.Routes{
		{Method: "DELETE", Path: []string{"v1", "teams", "acme", "clients", "*"}, Bucket: "deletes"},
		{Path: []string{"v1", "teams", "*", "clients", "**"}, Bucket: "clients"},
		{Path: []string{"v1", "teams", "*", "clients", "*"}, Bucket: "never"},
		{Method: "GET", Path: []string{"v1", "teams", "*", "users"}, Bucket: "users"},
	}
	known := func(apiclient.Request) string { return "known" }
	for _, c := range []struct {
		method string
		path   []string
		want   string
	}{
		{"DELETE", []string{"clients", "c1"}, "deletes"},
		{"PUT", []string{"clients", "c1"}, "clients"},
		{"", []string{"clients", "c1", "more", "yet"}, "clients"},
		{"", []string{"clients"}, "clients"},
		{"", []string{"users"}, "users"},
		{"POST", []string{"users"}, "known"},
		{"", []string{"users", "u1"}, "known"},
		{"", []string{"user"}, "known"},
		{"", nil, "known"},
	} {
		q := apiclient.Request{Method: c.method, Path: c.path}
		if got := routes.Or(known, "v1", "teams", "acme")(q); got != c.want {
			t.Errorf("%s %q is in bucket %s, want %s", c.method, c.path, got, c.want)
		}
	}
	if got := apiclient.Routes(nil).Or(known)(apiclient.Request{}); got != "known" {
		t.Errorf("without routes it is %s", got)
	}
}
