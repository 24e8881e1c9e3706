package consent

import (
	"slices"
	"strings"
	"testing"

	"restraint/edge/openrtb"
	"restraint/edge/policy"
)

// permits is a US section that permits everything.
func permits(id int) string { return usString(id, latest(id), nil) }

var (
	noTCF     = Answer{Reason: NoConsent, Why: TCFRequired}
	noTCFGDPR = Answer{Reason: NoConsent, Why: TCFRequiredByGDPR}
	noOptOut  = Answer{Reason: NoConsent, Why: OptOutRequired}
)

// ruleCase is what a signal does: retargeting and acquisition are answered alike,
// contextual campaigns pass, and storage has its own answer.
type ruleCase struct {
	name    string
	require policy.Require
	set     func(*openrtb.Signals)
	want    Answer
	storage Answer
}

var (
	full     = granting().String()
	refusing = tcString{cmp: 300, policyVersion: 5}.String()
	purpose1 = Answer{Reason: NoConsent, Why: PurposeRefused, Purpose: 1}
)

var ruleCases = []ruleCase{
	{"nothing, nothing required", policy.RequireNone, nil, Answer{}, Answer{}},
	{"nothing, opt-out required", policy.RequireOptOut, nil, noOptOut, Answer{}},
	{"nothing, TCF required", policy.RequireTCF, nil, noTCF, noTCF},
	{"gdpr 1", policy.RequireNone, func(s *openrtb.Signals) { s.GDPR = 1 }, noTCFGDPR, noTCFGDPR},
	{"gdpr 1 and a US section", policy.RequireOptOut, func(s *openrtb.Signals) {
		s.GDPR, s.GPP = 1, []byte(gppString(map[int]string{8: permits(8)}))
	}, noTCFGDPR, noTCFGDPR},
	{"gdpr 0 in a market of the TCF", policy.RequireTCF, func(s *openrtb.Signals) { s.GDPR = 0 }, noTCF, noTCF},
	{"TCF", policy.RequireTCF, func(s *openrtb.Signals) { s.Consent = []byte(full) }, Answer{}, Answer{}},
	{"TCF for an opt-out", policy.RequireOptOut, func(s *openrtb.Signals) { s.Consent = []byte(full) }, Answer{}, Answer{}},
	{"TCF refused where nothing is required", policy.RequireNone, func(s *openrtb.Signals) {
		s.Consent, s.GDPR = []byte(refusing), 0
	}, purpose1, purpose1},
	{"TCF in the GPP", policy.RequireTCF, func(s *openrtb.Signals) {
		s.GDPR, s.GPP = 1, []byte(gppString(map[int]string{2: full}))
	}, Answer{}, Answer{}},
	{"TCF in both, one refuses", policy.RequireTCF, func(s *openrtb.Signals) {
		s.Consent, s.GPP = []byte(full), []byte(gppString(map[int]string{2: refusing}))
	}, Answer{NoConsent, PurposeRefused, 2, 1}, Answer{NoConsent, PurposeRefused, 2, 1}},
	{"coppa", policy.RequireNone, func(s *openrtb.Signals) { s.COPPA = 1 }, Answer{Reason: Child, Why: COPPA}, Answer{Reason: Child, Why: COPPA}},
	{"coppa comes first", policy.RequireTCF, func(s *openrtb.Signals) { s.COPPA, s.GPC, s.LMT = 1, true, 1 }, Answer{Reason: Child, Why: COPPA}, Answer{Reason: Child, Why: COPPA}},
	{"gpc", policy.RequireNone, func(s *openrtb.Signals) { s.GPC = true }, Answer{Reason: OptedOut, Why: GPC}, Answer{}},
	{"lmt", policy.RequireNone, func(s *openrtb.Signals) { s.LMT = 1 }, Answer{Reason: OptedOut, Why: LMT}, Answer{}},
	{"dnt", policy.RequireNone, func(s *openrtb.Signals) { s.DNT = 1 }, Answer{Reason: OptedOut, Why: DNT}, Answer{}},
	{"0 of each is no opt-out signal", policy.RequireOptOut, func(s *openrtb.Signals) {
		s.COPPA, s.LMT, s.DNT = 0, 0, 0
	}, noOptOut, Answer{}},
	{"gpc where no consent comes first", policy.RequireTCF, func(s *openrtb.Signals) { s.GPC = true }, noTCF, noTCF},
	{"us_privacy", policy.RequireOptOut, func(s *openrtb.Signals) { s.USPrivacy = []byte("1YNN") }, Answer{}, Answer{}},
	{"us_privacy for the TCF", policy.RequireTCF, func(s *openrtb.Signals) { s.USPrivacy = []byte("1YNN") }, noTCF, noTCF},
	{"us_privacy in the GPP", policy.RequireNone, func(s *openrtb.Signals) {
		s.GPP = []byte(gppString(map[int]string{6: "1YYN"}))
	}, Answer{OptedOut, SaleOptOut, 6, 0}, Answer{}},
	{"two sections, the second opted out", policy.RequireOptOut, func(s *openrtb.Signals) {
		s.GPP = []byte(gppString(map[int]string{7: permits(7), 9: optedOut(9, "TargetedAdvertisingOptOut")}))
	}, Answer{OptedOut, TargetedOptOut, 9, 0}, Answer{}},
	{"the same with the first in force", policy.RequireOptOut, func(s *openrtb.Signals) {
		s.GPP = []byte(gppString(map[int]string{7: permits(7), 9: optedOut(9, "TargetedAdvertisingOptOut")}))
		s.GPPSID = []uint16{7}
	}, Answer{}, Answer{}},
	{"a section that is missing", policy.RequireNone, func(s *openrtb.Signals) {
		s.GPP, s.GPPSID = []byte(gppString(map[int]string{7: permits(7)})), []uint16{7, 8}
	}, Answer{NoConsent, SectionMissing, 8, 0}, Answer{}},
	{"no section at all", policy.RequireNone, func(s *openrtb.Signals) { s.GPPSID = []uint16{8} }, Answer{NoConsent, SectionMissing, 8, 0}, Answer{}},
	{"the TCF's section is missing", policy.RequireNone, func(s *openrtb.Signals) { s.GPPSID = []uint16{2} }, Answer{NoConsent, SectionMissing, 2, 0}, Answer{NoConsent, SectionMissing, 2, 0}},
	{"user.consent is the TCF's section", policy.RequireTCF, func(s *openrtb.Signals) {
		s.GPPSID, s.Consent = []uint16{2}, []byte(full)
	}, Answer{}, Answer{}},
	{"us_privacy is section 6", policy.RequireOptOut, func(s *openrtb.Signals) {
		s.GPPSID, s.USPrivacy = []uint16{6}, []byte("1YNN")
	}, Answer{}, Answer{}},
	{"an unknown section is missing", policy.RequireNone, func(s *openrtb.Signals) { s.GPPSID = []uint16{4000} }, Answer{NoConsent, SectionMissing, 63, 0}, Answer{NoConsent, SectionMissing, 63, 0}},
	{"an unknown section", policy.RequireNone, func(s *openrtb.Signals) {
		s.GPP = []byte(gppString(map[int]string{8: permits(8), 28: "BAAA"}))
	}, Answer{NoConsent, SectionUnknown, 28, 0}, Answer{NoConsent, SectionUnknown, 28, 0}},
	{"an unknown section that is not in force", policy.RequireOptOut, func(s *openrtb.Signals) {
		s.GPP, s.GPPSID = []byte(gppString(map[int]string{8: permits(8), 28: "BAAA"})), []uint16{8}
	}, Answer{}, Answer{}},
	{"a broken section that is not in force", policy.RequireOptOut, func(s *openrtb.Signals) {
		s.GPP, s.GPPSID = []byte(gppString(map[int]string{8: permits(8), 9: "?"})), []uint16{8}
	}, Answer{}, Answer{}},
	{"a GPP string that cannot be read", policy.RequireNone, func(s *openrtb.Signals) { s.GPP = []byte("DBAB") }, Answer{Reason: NoConsent, Why: GPPUnreadable}, Answer{Reason: NoConsent, Why: GPPUnreadable}},
	{"a GPP string without sections", policy.RequireNone, func(s *openrtb.Signals) { s.GPP = []byte("DBAA") }, Answer{}, Answer{}},
	{"a GPP string without sections is no signal", policy.RequireOptOut, func(s *openrtb.Signals) { s.GPP = []byte("DBAA") }, noOptOut, Answer{}},
	{"a GPP string without the section named", policy.RequireOptOut, func(s *openrtb.Signals) {
		s.GPP, s.GPPSID = []byte("DBAA"), []uint16{7}
	}, Answer{NoConsent, SectionMissing, 7, 0}, Answer{}},
	{"a long GPP string", policy.RequireNone, func(s *openrtb.Signals) {
		s.GPP = []byte(gppString(map[int]string{8: permits(8) + strings.Repeat("A", MaxString)}))
	}, Answer{Reason: NoConsent, Why: GPPUnreadable}, Answer{Reason: NoConsent, Why: GPPUnreadable}},
	{"a known child", policy.RequireOptOut, func(s *openrtb.Signals) {
		s.GPP = []byte(gppString(map[int]string{8: permits(8), 12: usString(12, 1, map[element]int{{"KnownChildSensitiveDataConsents", 2}: 2})}))
	}, Answer{Child, KnownChild, 12, 0}, Answer{Child, KnownChild, 12, 0}},
	{"service provider mode", policy.RequireOptOut, func(s *openrtb.Signals) {
		s.GPP = []byte(gppString(map[int]string{8: optedOut(8, "MspaServiceProviderMode")}))
	}, Answer{OptedOut, ServiceProvider, 8, 0}, Answer{}},
}

func TestRules(t *testing.T) {
	for _, c := range ruleCases {
		r, s := newReader(t), absent()
		if c.set != nil {
			c.set(&s)
		}
		want := Verdict{Purposes: [3]Answer{c.want, c.want, {}}, Storage: c.storage}
		for range 3 { // decoded, and from memory
			if got := r.Judge(&s, &usual, c.require); got != want {
				t.Errorf("%s: %+v, want %+v", c.name, got, want)
			}
			r.cache.Wait()
		}
	}
}

// TestContextualPurposes: contextual campaigns are asked for TCF purposes where the
// policy gives them some, and for nothing else.
func TestContextualPurposes(t *testing.T) {
	r, c := newReader(t), usual
	c.Purposes[policy.Contextual] = 1 << 6
	s := absent()
	s.COPPA, s.GPC, s.LMT, s.DNT, s.USPrivacy = 1, true, 1, 1, []byte("1NYN")
	if got := r.Judge(&s, &c, policy.RequireOptOut).Purposes[policy.Contextual]; !got.Permitted() {
		t.Errorf("opted out: %+v", got)
	}
	if got := r.Judge(&s, &c, policy.RequireTCF).Purposes[policy.Contextual]; got != noTCF {
		t.Errorf("no TCF string: %+v", got)
	}
	refused := granting()
	refused.consents = without(refused.consents, 7)
	s.Consent = []byte(refused.String())
	if got := r.Judge(&s, &c, policy.RequireNone).Purposes[policy.Contextual]; got != (Answer{NoConsent, PurposeRefused, 0, 7}) {
		t.Errorf("purpose 7 refused: %+v", got)
	}
}

// TestEachPurposeHasItsOwnAnswer: a string may permit acquisition and not
// retargeting, and keeping without either.
func TestEachPurposeHasItsOwnAnswer(t *testing.T) {
	r, s := newReader(t), absent()
	for mask := range 16 {
		in := granting()
		in.consents = nil
		for n := range 4 {
			if mask>>n&1 == 1 {
				in.consents = append(in.consents, n+1)
			}
		}
		s.Consent = []byte(in.String())
		got := r.Judge(&s, &usual, policy.RequireTCF)
		if got.Purposes[policy.Retargeting].Permitted() != (mask&0b1101 == 0b1101) ||
			got.Purposes[policy.Acquisition].Permitted() != (mask&0b11 == 0b11) ||
			got.Storage.Permitted() != (mask&1 == 1) || !got.Purposes[policy.Contextual].Permitted() {
			t.Errorf("purposes %v: %+v", in.consents, got)
		}
	}
}

// TestPolicyChangesTheAnswer: what is remembered of a string is not what another
// vendor or other sections in force are told.
func TestPolicyChangesTheAnswer(t *testing.T) {
	r, s := newReader(t), absent()
	in := granting()
	in.vendors, in.restrictions = []int{5}, []restriction{{4, 0, []int{7}}}
	s.Consent = []byte(in.String())
	for range 3 {
		for vendor, want := range map[uint16]Why{0: PurposeRestricted, 5: Nothing, 6: VendorRefused} {
			c := usual
			c.Vendor = vendor
			if got := r.Judge(&s, &c, policy.RequireTCF).Purposes[0]; got.Why != want {
				t.Errorf("vendor %d: %+v", vendor, got)
			}
		}
		r.cache.Wait()
	}
}

func TestExplain(t *testing.T) {
	r, s, c := newReader(t), absent(), usual
	in := granting()
	in.consents = without(in.consents, 3)
	c.Vendor = 5
	s.Consent, s.GPC, s.LMT = []byte(in.String()), true, 0
	s.GPP = []byte(gppString(map[int]string{8: optedOut(8, "SaleOptOut")}))
	checks, verdict := r.Explain(nil, &s, &c, policy.RequireTCF)
	if got := r.Judge(&s, &c, policy.RequireTCF); got != verdict {
		t.Errorf("judged %+v, explained %+v", got, verdict)
	}
	var lines []string
	for _, check := range checks {
		verb := "passes"
		if !check.Permitted() {
			verb = check.Reason.String()
		}
		if check.Applies&(1<<policy.Retargeting) != 0 {
			lines = append(lines, verb+" "+check.Why.String()+" | "+string(check.AppendText(nil)))
		}
	}
	for _, line := range []string{
		"opted_out gpc | Global Privacy Control is on",
		"passes lmt | the device limits ad tracking",
		"passes purpose_refused | TCF: purpose 1 not consented",
		"no_consent purpose_refused | TCF: purpose 3 not consented",
		"passes vendor_refused | TCF: the vendor is not consented",
		"opted_out sale_opt_out | GPP usca: sale opted out",
		"passes tcf_required | no TCF string although the market requires one",
	} {
		if !slices.Contains(lines, line) {
			t.Errorf("no check %q in\n%s", line, strings.Join(lines, "\n"))
		}
	}
	// What was given for a reason is among the checks that refuse.
	for i, a := range append(verdict.Purposes[:2:2], verdict.Storage) {
		about := []uint8{1 << policy.Retargeting, 1 << policy.Acquisition, AppliesStorage}[i]
		if !a.Permitted() && !slices.ContainsFunc(checks, func(c Check) bool { return c.Answer == a && c.Applies&about != 0 }) {
			t.Errorf("%+v is not among the checks", a)
		}
	}
}

// TestWhys: each has a reason, a name of its own and something to say.
func TestWhys(t *testing.T) {
	seen := map[string]bool{}
	for w := range whyCount {
		if w.String() == "" || seen[w.String()] || whys[w].says == "" || (w.Reason() == Permitted) != (w == Nothing) {
			t.Errorf("%d: %+v", w, whys[w])
		}
		seen[w.String()] = true
	}
	if got := string(Answer{NoConsent, SectionUnknown, 40, 0}.AppendText(nil)); got != "GPP section 40: the section is not known" {
		t.Error(got)
	}
	if got := string(Answer{OptedOut, SaleOptOut, 0, 0}.AppendText(nil)); got != "US Privacy: sale opted out" {
		t.Error(got)
	}
}
