package loadtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func counted(d *decided) map[string]int64 {
	out := map[string]int64{}
	for reason, n := range d.reasons {
		out[reason] = *n
	}
	return out
}

func TestDecidedReads(t *testing.T) {
	for _, c := range []struct {
		body  string
		brief bool
		want  []judged
		token string
	}{
		{`{"policy":1,"decisions":[{"campaign":"a","show":true},{"campaign":"b","show":false,"reason":"cap","retry_after":5}]}`, false, []judged{judgedShow, judgedCap}, ""},
		{`{"policy":1,"token":"abc","decisions":[{"campaign":"a","show":false,"reason":"spacing"}]}`, false, []judged{judgedSkip}, "abc"},
		{` { "decisions" : [ {"reason":"cap", "show" : false} , {"show":true} ], "token":"late" } `, false, []judged{judgedCap, judgedShow}, "late"},
		{`{"policy":1,"decisions":[{"campaign":"\"show\":true,\"decisions\":[","show":true}]}`, false, []judged{judgedShow}, ""},
		{`{"policy":1,"show":[0,2],"token":"t"}`, true, []judged{judgedShow, judgedSkip, judgedShow}, "t"},
		{`{"policy":1,"show":[]}`, true, []judged{judgedSkip, judgedSkip, judgedSkip}, ""},
	} {
		d := newDecided()
		if err := d.read([]byte(c.body), 3, true, c.brief); err != nil || !slices.Equal(d.verdicts, c.want) || string(d.token) != c.token {
			t.Errorf("%s: %v, token %q, %v", c.body, d.verdicts, d.token, err)
		}
	}
}

func TestDecidedRefuses(t *testing.T) {
	for body, brief := range map[string]bool{
		``: false, `{`: false, `{"decisions":[]}`: false, `{"decisions":[{"show":true},{"show":true}]}`: false,
		`{"decisions":[{"reason":"cap","show":true,"show": true}]}`: false, `{"decisions":[{"show":false}]}`: false, `{"policy":1}`: false,
		`{"decisions":[{"show":1}]}`: false, `{"show":[1]}`: true, `{"show":[-1]}`: true, `{}`: true, `{"show":3}`: true,
	} {
		d := newDecided()
		if err := d.read([]byte(body), 1, false, brief); !errors.Is(err, ErrNode) {
			t.Errorf("%s: %v, %v", body, d.verdicts, err)
		}
	}
}

// What the scan reads of a node's answers is what a JSON parser reads.
func TestDecidedScanIsTheParse(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	reasons := []string{"cap", "spacing", "no_consent", "purchased"}
	names := []string{"plain", `qu"ote`, `"show":true`, `back\slash`, "\u20ac", `],"decisions":[`}
	for range 500 {
		var decisions []any
		for range 1 + r.IntN(20) {
			v := map[string]any{"campaign": names[r.IntN(len(names))], "show": true}
			if r.IntN(2) == 0 {
				v["show"], v["reason"] = false, reasons[r.IntN(len(reasons))]
			}
			decisions = append(decisions, v)
		}
		// The keys of a decision are sorted as a node has them, but for the reason.
		var b strings.Builder
		for i, v := range decisions {
			v := v.(map[string]any)
			name, _ := json.Marshal(v["campaign"])
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, `{"campaign":%s,"show":%t`, name, v["show"])
			if v["show"] == false {
				fmt.Fprintf(&b, `,"reason":%q,"retry_after":9`, v["reason"])
			}
			b.WriteByte('}')
		}
		body := []byte(`{"policy":3,"token":"AbC-_","decisions":[` + b.String() + "]}\n")
		scanned, parsed := newDecided(), newDecided()
		if !scanned.scan(body) {
			t.Fatalf("not scanned: %s", body)
		}
		if err := parsed.parse(body); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(scanned.verdicts, parsed.verdicts) || string(scanned.token) != string(parsed.token) || !slices.EqualFunc(scanned.met, parsed.met, func(a, b *int64) bool { return scanned.named(a) == parsed.named(b) }) {
			t.Fatalf("%s\nscanned %+v %v\nparsed  %+v %v", body, scanned.verdicts, counted(&scanned), parsed.verdicts, counted(&parsed))
		}
	}
}

// named is the reason of a counter.
func (d *decided) named(n *int64) string {
	for reason, of := range d.reasons {
		if of == n {
			return reason
		}
	}
	return ""
}

// A form that the scan does not know is counted once.
func TestDecidedCountsOnce(t *testing.T) {
	d := newDecided()
	if err := d.read([]byte(`{"decisions":[{"show":false,"reason":"cap"},{"show": false,"reason":"cap"}]}`), 2, false, false); err != nil {
		t.Fatal(err)
	}
	if got := counted(&d); got["cap"] != 2 || len(got) != 1 {
		t.Errorf("%v", got)
	}
}

func TestDecidedScanDoesNotAllocate(t *testing.T) {
	body := []byte(`{"policy":1,"decisions":[` + strings.Repeat(`{"campaign":"a","show":true},{"campaign":"b","show":false,"reason":"cap","retry_after":5},`, 10) + `{"campaign":"c","show":true}]}`)
	d := newDecided()
	if n := testing.AllocsPerRun(100, func() {
		if err := d.read(body, 21, false, false); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzDecided(f *testing.F) {
	f.Add([]byte(`{"policy":1,"token":"x","decisions":[{"campaign":"a","show":true},{"campaign":"b","show":false,"reason":"cap"}]}`), false)
	f.Add([]byte(`{"show":[0,1]}`), true)
	f.Fuzz(func(t *testing.T, body []byte, brief bool) {
		d := newDecided()
		if err := d.read(body, 5, true, brief); err == nil && (len(d.verdicts) == 0 || len(d.verdicts) > 5) {
			t.Fatalf("%d verdicts", len(d.verdicts))
		}
	})
}
