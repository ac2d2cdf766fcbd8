package events

import (
	"bytes"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestCanonical(t *testing.T) {
	for in, want := range map[string]string{
		`{}`:                               `{}`,
		" { \"b\" : 1.0 , \"a\":[ ]}\n":    `{"a":[],"b":1.0}`,
		`{"a":"\u0041\/<"}`:                `{"a":"A/\u003c"}`,
		`{"a":{"z":null,"y":true},"A1":2}`: `{"A1":2,"a":{"y":true,"z":null}}`,
		`{"n":12345678901234567890.5}`:     `{"n":12345678901234567890.5}`,
		`{"n":[17976931348623157e292]}`:    `{"n":[17976931348623157e292]}`,
	} {
		got, err := Canonical([]byte(in))
		if err != nil || string(got) != want {
			t.Errorf("%s: %s %v, want %s", in, got, err, want)
		}
	}
}

func TestCanonicalRefusesTwoReadings(t *testing.T) {
	for in, want := range map[string]Violation{
		`{"a":1,"a":1}`:                         {"/a", "json: member given twice (names differ in case only, or not at all)"},
		`{"u":{"user":1,"USER":2}}`:             {"/u/USER", "json: member given twice (names differ in case only, or not at all)"},
		`{"uſer":1,"user":2}`:                   {"/user", "json: member given twice (names differ in case only, or not at all)"},
		`{"a/b~":{"c":1,"C":2}}`:                {"/a~1b~0/C", "json: member given twice (names differ in case only, or not at all)"},
		`[{}]`:                                  {"", "type: want object"},
		`null`:                                  {"", "type: want object"},
		``:                                      {"", "json: not JSON near byte 0"},
		`{"a":1}{}`:                             {"", "json: more than one value"},
		`{"a":1} x`:                             {"", "json: more than one value"},
		"{\"a\":\"\xff\"}":                      {"", "json: not UTF-8"},
		`{"a":[1e400]}`:                         {"/a/0", "json: number out of range"},
		`{"a":[99e308]}`:                        {"/a/0", "json: number out of range"},
		`{"a":-17976931348623159e292}`:          {"/a", "json: number out of range"},
		`{"a":1e-99999999999}`:                  {"/a", "json: number out of range"},
		`{"a":` + strings.Repeat("1", 65) + `}`: {"/a", "json: number out of range"},
	} {
		_, err := Canonical([]byte(in))
		if err != want {
			t.Errorf("%.40s: %v, want %v", in, err, want)
		}
	}
	deep := strings.Repeat(`{"a":`, 80) + "1" + strings.Repeat("}", 80)
	if _, err := Canonical([]byte(deep)); err == nil {
		t.Error("80 levels taken")
	}
}

func TestCanonicalSurvivesEmbedding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, err := json.Marshal(rapid.MapOf(rapid.String(), rapid.SliceOf(rapid.String())).Draw(t, "doc"))
		if err != nil {
			t.Fatal(err)
		}
		c, err := Canonical(text)
		if err != nil {
			t.Skip()
		}
		again, err := Canonical(c)
		if err != nil || !bytes.Equal(c, again) {
			t.Fatalf("%s becomes %s (%v)", c, again, err)
		}
		outer, err := json.MarshalIndent(map[string]any{"in": c}, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		var back struct{ In json.RawMessage }
		if err := json.Unmarshal(outer, &back); err != nil {
			t.Fatal(err)
		}
		if got, _ := Canonical(back.In); !bytes.Equal(got, c) {
			t.Fatalf("%s became %s", c, got)
		}
	})
}

func FuzzCanonical(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":[1,"x",null,{"b":1e3}]}`, `{"a":1,"A":2}`, "\xff", `{"ﬀ":1}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Canonical(data)
		if err != nil {
			if _, ok := err.(Violation); !ok {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		if again, err := Canonical(c); err != nil || !bytes.Equal(c, again) {
			t.Fatalf("%q becomes %q: %v", c, again, err)
		}
	})
}

// A sender may make the document as awkward as 1 MiB allows: the work stays in proportion to its size.
func TestCanonicalIsLinear(t *testing.T) {
	long := strings.Repeat("k", 400<<10)
	var members []string
	for i := range 40000 {
		members = append(members, fmt.Sprintf(`"m%d":%d`, i, i))
	}
	doc := `{"` + long + `":{` + strings.Join(members, ",") + `}}`
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := Canonical([]byte(doc)); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	// Counted in memory, which unlike time does not depend on what else the machine does.
	if used := after.TotalAlloc - before.TotalAlloc; used > 200*uint64(len(doc)) {
		t.Errorf("%d bytes needed %d bytes of memory", len(doc), used)
	}
}
