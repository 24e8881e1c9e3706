package consent

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"restraint/edge/openrtb"
	"restraint/edge/policy"
)

// TestPlacesOfTheRequest: what a request says counts the same in the places of
// OpenRTB 2.6 and in those that older requests use, in every combination.
func TestPlacesOfTheRequest(t *testing.T) {
	r := newReader(t)
	refusing := granting()
	refusing.consents = []int{2}
	fields := []struct{ object, field, value string }{
		{"user", "consent", `"` + refusing.String() + `"`},
		{"regs", "gdpr", "1"},
		{"regs", "gpp", `"` + gppString(map[int]string{8: optedOut(8, "SharingOptOut")}) + `"`},
		{"regs", "gpp_sid", "[8]"},
		{"regs", "us_privacy", `"1YYN"`},
		{"regs", "gpc", `"1"`},
		{"regs", "coppa", "1"},
	}
	for present := range 1 << len(fields) {
		var first *Verdict
		for places := range 1 << len(fields) {
			if places&^present != 0 {
				continue // the place of what is absent
			}
			in := map[string][]string{}
			for i, f := range fields {
				if present>>i&1 == 0 {
					continue
				}
				object := f.object
				if places>>i&1 == 1 {
					object += ".ext"
				}
				in[object] = append(in[object], fmt.Sprintf("%q:%s", f.field, f.value))
			}
			var body bytes.Buffer
			body.WriteString(`{"candidates":[{"campaign":"a"}]`)
			for _, object := range []string{"user", "regs"} {
				all := append([]string{`"ext":{` + strings.Join(in[object+".ext"], ",") + "}"}, in[object]...)
				fmt.Fprintf(&body, ",%q:{%s}", object, strings.Join(all, ","))
			}
			body.WriteString("}")
			text := body.String()
			var request openrtb.Request
			if err := request.Parse(body.Bytes()); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			got := r.Judge(&request.Signals, &usual, policy.RequireNone)
			if first == nil {
				first = &got
			}
			if got != *first || got.Purposes[0].Permitted() != (present == 0) {
				t.Fatalf("%s: %+v, first %+v", text, got, *first)
			}
		}
	}
}

// Two strings in the two places: whichever refuses, nobody may take the other.
func TestPlacesDiffer(t *testing.T) {
	r := newReader(t)
	all := granting().String()
	some := granting()
	some.consents = []int{2}
	for name, body := range map[string]string{
		"consent, old place refuses": `"user":{"consent":"` + all + `","ext":{"consent":"` + some.String() + `"}}`,
		"consent, new place refuses": `"user":{"consent":"` + some.String() + `","ext":{"consent":"` + all + `"}}`,
		"gpp":                        `"regs":{"gpp":"` + gppString(map[int]string{8: permits(8)}) + `","ext":{"gpp":"` + gppString(map[int]string{8: optedOut(8, "SaleOptOut")}) + `"}}`,
		"gpp_sid":                    `"regs":{"gpp":"` + gppString(map[int]string{8: permits(8)}) + `","gpp_sid":[8],"ext":{"gpp_sid":[9]}}`,
	} {
		var q openrtb.Request
		if err := q.Parse([]byte("{" + body + `,"candidates":[{"campaign":"c"}]}`)); err != nil {
			t.Fatal(err)
		}
		if got := r.Judge(&q.Signals, &usual, policy.RequireNone); got.Purposes[policy.Retargeting].Reason != NoConsent {
			t.Errorf("%s: %+v", name, got)
		}
		if strings.HasPrefix(name, "consent") {
			same := strings.ReplaceAll(body, some.String(), all)
			if err := q.Parse([]byte("{" + same + `,"candidates":[{"campaign":"c"}]}`)); err != nil {
				t.Fatal(err)
			}
			if got := r.Judge(&q.Signals, &usual, policy.RequireTCF); !got.Purposes[policy.Retargeting].Permitted() {
				t.Errorf("the same in both places: %+v", got)
			}
		}
	}
}
