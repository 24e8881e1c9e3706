package edge_test

import (
	"fmt"
	"slices"
	"testing"
)

// retentionPolicy keeps everything for a shorter time than the default.
func retentionPolicy(exposures, purchases, hold string) string {
	return fmt.Sprintf(`
timezone: UTC
retention: {exposures: %s, purchases: %s}
markets: [{name: everywhere, require: none}]
campaigns:
  a: {advertiser: acme, caps: [{per: campaign, limit: 3, within: lifetime}], purchased: {advertiser: 3d}}
  b: {advertiser: acme, hold: %s}
`, exposures, purchases, hold)
}

type retentionAnswer struct {
	Policy int
	Kept   []struct {
		Kind, Setting, Detail string
		Seconds               int64
		Person                bool
	}
}

func (r *retentionAnswer) seconds(t *testing.T, kind string) int64 {
	t.Helper()
	i := slices.IndexFunc(r.Kept, func(k struct {
		Kind, Setting, Detail string
		Seconds               int64
		Person                bool
	},
	) bool {
		return k.Kind == kind
	})
	if i < 0 || r.Kept[i].Detail == "" {
		t.Fatalf("nothing is said of %s: %+v", kind, r.Kept)
	}
	return r.Kept[i].Seconds
}

// What is said of retention is that of the policy in force, and what is held.
func TestRetention(t *testing.T) {
	const day = 86400
	n := startNode(t, "", retentionPolicy("10d", "20d", "90s"), requestClock)
	var r retentionAnswer
	n.must(200, "GET", "/v1/retention", "", "", &r)
	for kind, want := range map[string]int64{
		"reports": 3 * day, "report_numbers": 400 * day, "dial_backs": 0,
		"exposures": 10 * day, "purchases": 20 * day, "holds": 90, "tokens": day, "idempotency_answers": day,
		"preferences": 0, "hidden_campaigns": 90 * day, "erasures": 0, "lists": 0, "event_stream": 0, "refusal_stream": 0, "policies": 0,
	} {
		if got := r.seconds(t, kind); got != want {
			t.Errorf("%s: %d seconds, want %d", kind, got, want)
		}
	}
	who := `"user":{"id":"u-1"}`
	for _, event := range []string{`"type":"impression","campaign":"a"`, `"type":"purchase","advertiser":"acme"`, `"type":"hide","campaign":"b"`} {
		n.event(fmt.Sprintf(`{%s,%s,"at":%d}`, event, who, peopleStart))
	}
	n.prefer(t, fmt.Sprintf(`{%s,"personalisation":false,"at":%d}`, who, peopleStart))
	for _, c := range []struct {
		after                        int64
		exposures, purchases, hidden bool
	}{
		{10*day - 1, true, true, true},
		{10*day + 1, false, true, true},
		{20*day - 1, false, true, true},
		{20*day + 1, false, false, true},
		{90 * day, false, false, true},
		{90*day + 1, false, false, false},
		{4000 * day, false, false, false},
	} {
		h := n.lookUp(t, fmt.Sprintf(`{%s,"at":%d}`, who, peopleStart+c.after))
		if len(h.Exposures) > 0 != c.exposures || len(h.Purchases) > 0 != c.purchases || len(h.Hidden) > 0 != c.hidden || h.Preferences.Personalisation {
			t.Errorf("after %d s: %+v", c.after, h)
		}
	}
	n.must(200, "PUT", "/v1/policy", "", retentionPolicy("30d", "40d", "2m"), nil)
	n.must(200, "GET", "/v1/retention", "", "", &r)
	if r.Policy != 2 || r.seconds(t, "exposures") != 30*day || r.seconds(t, "purchases") != 40*day || r.seconds(t, "holds") != 120 {
		t.Errorf("under the next policy: %+v", r)
	}
	n.refused(t, 405, "POST", "/v1/retention", "", "", "GET")
}
