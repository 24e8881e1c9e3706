package consent

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"testing"
	"time"

	"restraint/edge/openrtb"
	"restraint/edge/policy"
)

const real = "../../../shared/data/"

// vector is one real string with what decoders of the field say of it.
type vector struct {
	ID       string
	Kind     string
	Section  string
	String   string
	Outcome  string
	Expected map[string]any
	Asserted map[string]any `json:"asserted_by_source_test"`
	Disagree map[string]any `json:"upstream_test_disagrees_with_decoder"`
	Decoded  map[string]map[string]any
	Valid    *bool
	OptedOut *bool `json:"opt_out_of_sale"`
	Fields   map[string]any
}

// judged counts what was held to the package, by outcome, and fails a test that has
// passed over some.
type judged map[string]int

func (j judged) check(t *testing.T, vectors []vector, count int) {
	t.Helper()
	want := judged{}
	for _, v := range vectors {
		want[v.outcome()]++
	}
	if len(vectors) != count || count == 0 || !maps.Equal(j, want) {
		t.Errorf("judged %v of %v, %d in all; the file says %d", j, want, len(vectors), count)
	}
	t.Logf("judged %v", j)
}

func (v *vector) outcome() string {
	switch {
	case v.Outcome != "":
		return v.Outcome
	case v.Valid == nil:
		return "disputed"
	case *v.Valid:
		return "valid"
	}
	return "invalid"
}

func readVectors(t *testing.T, file string) ([]vector, int) {
	t.Helper()
	text, err := os.ReadFile(real + file)
	if err != nil {
		t.Skipf("no real strings to hold the package to: %v", err)
	}
	var f struct {
		Count   int
		Vectors []vector
	}
	if err := json.Unmarshal(text, &f); err != nil {
		t.Fatal(err)
	}
	return f.Vectors, f.Count
}

// usual is the policy of the built-in defaults, in which every purpose but
// contextual asks for something.
var usual = policy.Consent{
	Purposes: [3]policy.PurposeSet{policy.Retargeting: 0b1101, policy.Acquisition: 0b11},
	Storage:  1,
}

func newReader(t testing.TB) *Reader {
	r, err := New(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// signals returns signals of which nothing is present.
func absent() openrtb.Signals { return openrtb.Signals{GDPR: -1, COPPA: -1, LMT: -1, DNT: -1} }

// mustRefuse fails where anything but a contextual campaign is permitted.
func mustRefuse(t *testing.T, name string, v Verdict) {
	t.Helper()
	for _, a := range []Answer{v.Purposes[policy.Retargeting], v.Purposes[policy.Acquisition], v.Storage} {
		if a.Reason != NoConsent {
			t.Errorf("%s: %+v, want no_consent", name, v)
			return
		}
	}
	if !v.Purposes[policy.Contextual].Permitted() {
		t.Errorf("%s: contextual campaigns are refused", name)
	}
}

func TestRealTCFStrings(t *testing.T) {
	vectors, count := readVectors(t, "consent_tcf.json")
	r, done := newReader(t), judged{}
	for _, v := range vectors {
		switch v.Outcome {
		case "valid":
			got := tcfView(t, v.String)
			if list, ok := v.Expected["publisherRestrictions"].([]any); ok {
				_, _, restricted := tcfLists(v.String)
				if want := restrictedView(list, "purposeId", "restrictionType", "vendors"); !reflect.DeepEqual(want, restricted) {
					t.Errorf("%s: restrictions %v, want %v", v.ID, restricted, want)
				}
				delete(v.Expected, "publisherRestrictions")
			}
			compare(t, v.ID, v.Expected, got)
			compare(t, v.ID, onlyKnown(v.Asserted, got), got)
			judgeAsExpected(t, r, &v)
		case "invalid", "disputed":
			s := absent()
			s.Consent, s.GDPR = []byte(v.String), 1 // 1: one of the strings is empty
			mustRefuse(t, v.ID, r.Judge(&s, &usual, policy.RequireNone))
			if s.GDPR = -1; v.String != "" {
				mustRefuse(t, v.ID, r.Judge(&s, &usual, policy.RequireNone))
			}
			if _, problem, _ := parseTCF(s.Consent, 0); v.Outcome == "invalid" && problem == Nothing {
				t.Errorf("%s: parsed", v.ID)
			}
		default:
			t.Errorf("%s: outcome %q", v.ID, v.Outcome)
			continue
		}
		done[v.Outcome]++
	}
	done.check(t, vectors, count)
}

// judgeAsExpected holds the verdict on a valid string to what its expected fields
// say, without a vendor and for some.
func judgeAsExpected(t *testing.T, r *Reader, v *vector) {
	t.Helper()
	list := func(name string) (ids []int) {
		for _, id := range v.Expected[name].([]any) {
			ids = append(ids, int(id.(float64)))
		}
		return ids
	}
	_, _, restricted := tcfLists(v.String)
	consents, interests := list("purposeConsents"), list("purposeLegitimateInterests")
	version := v.Expected["policyVersion"].(float64)
	misused := version < 2 || version >= 4 && len(without(interests, 1, 2, 7, 8, 9, 10, 11)) > 0
	for _, vendor := range []int{0, 1, 2, 8, 32, 755} {
		s, c := absent(), usual
		s.Consent, c.Vendor = []byte(v.String), uint16(vendor)
		got := r.Judge(&s, &c, policy.RequireTCF)
		want := !misused && (vendor == 0 || slices.Contains(list("vendorConsents"), vendor))
		if disclosed, ok := v.Expected["disclosedVendors"]; ok && vendor != 0 {
			want = want && slices.Contains(disclosed.([]any), any(float64(vendor)))
		}
		for _, n := range []int{1, 3, 4} {
			want = want && slices.Contains(consents, n)
			for kind := range 3 {
				ids := restricted[fmt.Sprint(n, " ", kind)]
				if vendor == 0 && len(ids) > 0 || kind != 1 && slices.Contains(ids, vendor) {
					want = false
				}
			}
		}
		if a := got.Purposes[policy.Retargeting]; a.Permitted() != want {
			t.Errorf("%s: vendor %d: %+v, want %v", v.ID, vendor, a, want)
		}
	}
}

func TestRealUSPrivacyStrings(t *testing.T) {
	vectors, count := readVectors(t, "consent_usprivacy.json")
	r, done := newReader(t), judged{}
	for _, v := range vectors {
		s := absent()
		s.USPrivacy = []byte(v.String)
		verdict := r.Judge(&s, &usual, policy.RequireNone)
		if outcome := v.outcome(); outcome != "valid" {
			mustRefuse(t, v.String, verdict)
			done[outcome]++
			continue
		}
		found, problem := readUSPrivacy(s.USPrivacy)
		if problem != Nothing || found.has(findSale) != *v.OptedOut {
			t.Errorf("%s: found %b, %v", v.String, found, problem)
		}
		if told := v.Fields["notice"] != "N" && v.String[1] != 'N'; told == found.has(findNoNotice) {
			t.Errorf("%s: found %b", v.String, found)
		}
		if *v.OptedOut == verdict.Purposes[policy.Retargeting].Permitted() {
			t.Errorf("%s: %+v", v.String, verdict)
		}
		done["valid"]++
	}
	done.check(t, vectors, count)
}

func TestRealPrivacyEnforcement(t *testing.T) {
	text, err := os.ReadFile(real + "privacy_enforcement.json")
	if err != nil {
		t.Skipf("no real requests to hold the package to: %v", err)
	}
	var f struct {
		Count   int
		Vectors []struct {
			ID       string
			Incoming json.RawMessage
		}
	}
	if err := json.Unmarshal(text, &f); err != nil {
		t.Fatal(err)
	}
	// The first is that of a server that a bidder may be exempted from; here what the
	// person said binds.
	want := map[string]Reason{
		"enf-ccpa-nosale-any-bidder":                    OptedOut,
		"enf-ccpa-featureflag-on":                       OptedOut,
		"enf-gdpr-geo-usa-on":                           Permitted,
		"enf-gdpr-geo-eu-on-with-account-eea-countries": NoConsent,
		"enf-gdpr-geo-eu-off-device":                    NoConsent,
		"enf-gdpr-geo-usa-off":                          Permitted,
		"enf-lmt-featureflag-on":                        OptedOut,
	}
	market := map[string]policy.Require{"POL": policy.RequireTCF, "FRA": policy.RequireTCF}
	r := newReader(t)
	for _, v := range f.Vectors {
		var request openrtb.Request
		body := append([]byte(`{"candidates":[{"campaign":"a"}],`), v.Incoming[1:]...)
		if err := request.Parse(body); err != nil {
			t.Fatalf("%s: %v", v.ID, err)
		}
		require, strict := market[string(request.Country)]
		if !strict {
			require = policy.RequireNone
		}
		got := r.Judge(&request.Signals, &usual, require)
		if reason, known := want[v.ID]; !known || got.Purposes[policy.Retargeting].Reason != reason {
			t.Errorf("%s: %+v, want %v", v.ID, got, reason)
		}
	}
	if len(f.Vectors) != f.Count || f.Count != len(want) {
		t.Errorf("%d requests; the file says %d, the test knows %d", len(f.Vectors), f.Count, len(want))
	}
}

// compare holds every field that is expected to what was read.
func compare(t *testing.T, id string, want, got map[string]any) {
	t.Helper()
	for name, value := range want {
		if name == "publisherCC" && got[name] == "te" {
			continue // the encoder wrote letters beyond Z
		}
		if !reflect.DeepEqual(normal(t, got[name]), normal(t, value)) {
			t.Errorf("%s: %s is %v, want %v", id, name, got[name], value)
		}
	}
}

// onlyKnown leaves out assertions that are made in another form than a field's own,
// and that repeat what is expected anyway.
func onlyKnown(want, got map[string]any) map[string]any {
	want = maps.Clone(want)
	maps.DeleteFunc(want, func(name string, _ any) bool { _, ok := got[name]; return !ok })
	return want
}

// normal is a value as JSON has it, with times to a tenth of a second.
func normal(t *testing.T, v any) any {
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	if s, ok := out.(string); ok {
		if at, err := time.Parse(time.RFC3339Nano, s); err == nil {
			return at.Truncate(100 * time.Millisecond).Format(time.RFC3339Nano)
		}
	}
	if list, ok := out.([]any); ok && len(list) == 0 || out == nil {
		return "none"
	}
	return out
}

// decisecond is a time as the TCF writes it.
func decisecond(v uint64) string {
	return time.UnixMilli(int64(v) * 100).UTC().Format(time.RFC3339Nano)
}

func letters(v uint64) string { return string([]byte{'A' + byte(v>>6), 'A' + byte(v&63)}) }

func members(set uint32) []int {
	ids := []int{}
	for n := range 32 {
		if set>>n&1 == 1 {
			ids = append(ids, n+1)
		}
	}
	return ids
}

// highestVendor is above every vendor of the real strings.
const highestVendor = 1600

// lists gathers the lists of a TCF string by asking for every vendor.
func lists(parse func(vendor uint16) core) (vendors, claimants []int, restricted map[string][]int) {
	vendors, claimants, restricted = []int{}, []int{}, map[string][]int{}
	for id := range uint16(highestVendor) {
		c := parse(id)
		if c.consented {
			vendors = append(vendors, int(id))
		}
		if c.interested {
			claimants = append(claimants, int(id))
		}
		for kind, set := range []uint32{c.restrictions.never, c.restrictions.byConsent, c.restrictions.byInterest} {
			for _, n := range members(set) {
				key := fmt.Sprint(n, " ", kind)
				restricted[key] = append(restricted[key], int(id))
			}
		}
	}
	return vendors, claimants, restricted
}

// restrictedView has restrictions in the form of lists. Types 0 and 3 are one.
func restrictedView(expected any, purpose, kind, ids string) map[string][]int {
	out := map[string][]int{}
	for _, e := range expected.([]any) {
		r := e.(map[string]any)
		k := int(r[kind].(float64)) % 3
		key := fmt.Sprint(r[purpose], " ", k)
		for _, id := range r[ids].([]any) {
			if !slices.Contains(out[key], int(id.(float64))) {
				out[key] = append(out[key], int(id.(float64)))
			}
		}
	}
	for _, v := range out {
		slices.Sort(v)
	}
	return out
}
