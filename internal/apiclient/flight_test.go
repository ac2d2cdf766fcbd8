package apiclient

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"keyturn/internal/secret"
	"keyturn/internal/shield"
)

// TestAPanicOfAFetchIsItsCallers: it ends no goroutine of nobody's, and the next call fetches again.
func TestAPanicOfAFetchIsItsCallers(t *testing.T) {
	var none []int
	fetches := 0
	tokens := &Tokens{Now: time.Now, Fetch: func(context.Context) (Token, error) {
		if fetches++; fetches == 1 {
			none[len(none)] = 1
		}
		return Token{Scheme: "Bearer", Value: secret.New("sample")}, nil
	}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://acme.example", nil)
	if err != nil {
		t.Fatal(err)
	}
	met := shield.Run(func() { err = tokens.Authorize(t.Context(), req) })
	if met == nil || !strings.Contains(met.Stack, "flight_test.go") {
		t.Fatalf("met %v, error %v", met, err)
	}
	if err := tokens.Authorize(t.Context(), req); err != nil || fetches != 2 {
		t.Errorf("%v after %d fetches", err, fetches)
	}
}
