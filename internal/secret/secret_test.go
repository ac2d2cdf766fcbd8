package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"keyturn/internal/secret"
)

const mark = "hunter2-mark"

// outer holds a secret where the methods of Value cannot be called.
type outer struct {
	hidden secret.Value
	Shown  secret.Value
	inner  struct{ v []secret.Value }
}

func TestValueNeverShows(t *testing.T) {
	v := secret.New(mark)
	o := outer{hidden: v, Shown: v}
	o.inner.v = []secret.Value{v}
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Info("x", "v", v, "o", o, slog.Any("p", &o), slog.Any("m", map[string]any{"k": o}))
	}
	printed := log.String()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		printed += fmt.Sprintf(verb+verb+verb, v, o, &o)
	}
	for _, x := range []any{v, o, &o, map[string]secret.Value{"k": v}} {
		b, err := json.Marshal(x)
		if err != nil {
			t.Fatal(err)
		}
		printed += string(b)
	}
	if strings.Contains(printed, mark) || strings.Contains(printed, fmt.Sprintf("%x", mark)) {
		t.Errorf("the secret shows in:\n%s", printed)
	}
}

func TestValueKeepsItsSecret(t *testing.T) {
	var in struct{ V, Empty, Null secret.Value }
	if err := json.Unmarshal([]byte(`{"V":"`+mark+`","Empty":"","Null":null}`), &in); err != nil {
		t.Fatal(err)
	}
	if in.V.Reveal() != mark || in.V.IsZero() || !in.V.Equal(secret.New(mark)) {
		t.Error("the secret did not survive decoding")
	}
	if !in.Empty.IsZero() || !in.Null.IsZero() || !in.Empty.Equal(secret.Value{}) || in.Empty.Equal(in.V) {
		t.Error("an empty secret is not the zero one")
	}
	if err := json.Unmarshal([]byte(`{"V":12}`), &in); err == nil {
		t.Error("a number was taken for a secret")
	}
}
