package edge_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"restraint/suppress"
)

// agePolicy has a list for each way to take its age.
const agePolicy = `
timezone: UTC
markets: [{name: everywhere, require: none}]
lists:
  strict: {id: [user.id], max_age: 48h, when_stale: skip, source: first_party, basis: contract}
  lenient: {id: [user.id], max_age: 48h, when_stale: show, source: first_party, basis: consent}
  ageless: {id: [user.id], source: first_party, basis: contract}
campaigns:
  a: {advertiser: acme, purpose: acquisition, suppress: [strict]}
  b: {advertiser: acme, purpose: acquisition, suppress: [lenient]}
  c: {advertiser: acme, purpose: acquisition, suppress: [ageless]}
`

// A list that is older than max_age says so in its status, in the metrics and in the
// answer, and skips everybody or goes on, as the policy says; a new upload ends that.
func TestListAge(t *testing.T) {
	n := startNode(t, "", agePolicy, nil)
	reasons := func(user string) (said string) {
		a := n.decide(`{"user":{"id":"` + user + `"},"candidates":[{"campaign":"a"},{"campaign":"b"},{"campaign":"c"}]}`)
		for _, d := range a.Decisions {
			said += d.Campaign + ":" + d.Reason + " "
		}
		return strings.TrimSpace(said)
	}
	status := func(list string) (st struct {
		suppress.Status
		Basis     string
		MaxAge    int    `json:"max_age"`
		WhenStale string `json:"when_stale"`
	},
	) {
		n.must(200, "GET", "/v1/lists/"+list, "", "", &st)
		return st
	}
	if got := reasons("u2"); got != "a:stale_list b: c:" {
		t.Errorf("never uploaded: %s", got)
	}
	put := func(want int, lists ...string) {
		for _, list := range lists {
			n.must(want, "PUT", "/v1/lists/"+list+"?id=user.id", "text/plain", "u1\n", nil)
		}
	}
	put(201, "strict", "lenient", "ageless")
	metric := func(name, list string) float64 {
		return n.metric(fmt.Sprintf("restraint_list_%s{list=%q}", name, list))
	}
	for _, list := range []string{"strict", "lenient", "ageless"} {
		if metric("generation", list) != 1 || metric("keys", list) != 1 || metric("bytes", list) <= 0 || metric("rejected_rows", list) != 0 {
			t.Errorf("metrics of %s", list)
		}
		if age := metric("age_seconds", list); age > 600 || metric("ready", list) != 1 {
			t.Errorf("%s is %v seconds old", list, age)
		}
	}
	const age = 48*3600 + 5
	n.stop()
	for _, list := range []string{"strict", "lenient", "ageless"} {
		makeOlder(t, n.dir, list, age)
	}
	n = startNode(t, n.dir, agePolicy, nil)
	for list, want := range map[string]suppress.State{"strict": suppress.StateStale, "lenient": suppress.StateStale, "ageless": suppress.StateReady} {
		if st := status(list); st.State != want || st.AgeSeconds < age || metric("age_seconds", list) < age || metric("ready", list) == 1 != (want == suppress.StateReady) {
			t.Errorf("%s: %+v, ready %v", list, st, metric("ready", list))
		}
	}
	if st := status("lenient"); st.WhenStale != "show" || st.MaxAge != 48*3600 || st.Basis != "consent" {
		t.Errorf("%+v", st)
	}
	if got := reasons("u1"); got != "a:suppressed b:suppressed c:suppressed" {
		t.Errorf("a member of stale lists: %s", got)
	}
	if got := reasons("u2"); got != "a:stale_list b: c:" {
		t.Errorf("a stranger to stale lists: %s", got)
	}
	said := n.decide(`{"user":{"id":"u2"},"candidates":[{"campaign":"a"}]}`).Decisions[0].Because
	if want := `Not shown: the list "strict", whose members this campaign leaves alone, is 2 days old; it may be 48 hours old at most.`; said != want {
		t.Errorf("said %q, want %q", said, want)
	}
	n.must(200, "POST", "/v1/lists/strict/add?id=user.id", "text/plain", "u3\n", nil) // no upload: it stays as old as it is
	if got := reasons("u2"); got != "a:stale_list b: c:" {
		t.Errorf("after an addition: %s", got)
	}
	put(200, "strict")
	if got := reasons("u2"); got != "a: b: c:" || metric("ready", "strict") != 1 || metric("ready", "lenient") != 0 {
		t.Errorf("after a new upload: %s", got)
	}
}

// makeOlder makes the upload of a list older, in the head of its key file.
func makeOlder(t *testing.T, dir, list string, seconds uint32) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "suppress", "lists", list, "*.keys"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%q, %v", files, err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	binary.BigEndian.PutUint32(b[44:], binary.BigEndian.Uint32(b[44:])-seconds)
	sum := sha256.Sum256(b[:128])
	copy(b[128:], sum[:])
	if err := os.WriteFile(files[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
}
