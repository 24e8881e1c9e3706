package edge_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"restraint/caps"
	"restraint/edge"
	"restraint/edge/identity"
	"restraint/edge/policy"
	"restraint/edge/replica"
)

const oneDay = 86400

// marketPolicy has a market with a retention of its own, the strictest and so that of an unknown country.
func marketPolicy(german string) string {
	return fmt.Sprintf(`
timezone: UTC
retention: {exposures: 90d}
markets:
  - {name: de, countries: [DEU], require: none, retention: {exposures: %s}}
  - {name: us, countries: [USA], require: none}
campaigns:
  a: {advertiser: acme, hold: 60s, caps: [{per: campaign, limit: 5, within: lifetime}]}
`, german)
}

// What a policy may write is what a record can carry.
func TestMarketRetentionCanBeKept(t *testing.T) {
	for d := uint32(0); d <= 600; d++ {
		for _, seconds := range []uint32{d * oneDay, d*oneDay + 1, d*oneDay + 43200} {
			if code, ok := caps.RetentionOf(seconds); policy.CanKeep(seconds) != (ok && code != 0) {
				t.Errorf("%d s: code %d %v, the policy says %v", seconds, code, ok, policy.CanKeep(seconds))
			}
		}
	}
}

// pair are the keepers of two nodes, each of which sends what it records to the other as a batch.
type pair struct {
	mu     sync.Mutex
	codec  replica.Codec
	stores []*caps.Store
	sent   [][]byte
}

type pairKeeper struct {
	*replica.Keeper
	pair  *pair
	store *caps.Store
}

func (k *pairKeeper) Kept() edge.Kept { return edge.Kept{} }

func (k *pairKeeper) Restore(s *caps.Store) error {
	k.store = s
	k.pair.stores = append(k.pair.stores, s)
	return k.Keeper.Restore(s)
}

func (k *pairKeeper) Record(changes []caps.Change) error {
	if err := k.Keeper.Record(changes); err != nil {
		return err
	}
	return k.send(changes)
}

func (k *pairKeeper) Hold(changes []caps.Change) {
	if err := k.send(changes); err != nil {
		panic(err)
	}
}

// send makes the changes in the other stores, as they come over the wire.
func (k *pairKeeper) send(changes []caps.Change) error {
	k.pair.mu.Lock()
	defer k.pair.mu.Unlock()
	enc, err := k.pair.codec.AppendBatch(nil, changes)
	if err != nil {
		return err
	}
	k.pair.sent = append(k.pair.sent, enc)
	for _, s := range k.pair.stores {
		var b replica.Batch
		if _, err := b.ParseNext(enc); err != nil {
			return err
		}
		for c := (caps.Change{}); s != k.store && b.Next(&c); {
			if err := s.Reapply(&c); err != nil {
				return err
			}
		}
	}
	return nil
}

// startPair starts two nodes of one secret; ends ends them and returns their folders of snapshots.
func startPair(t *testing.T, text string) (nodes [2]*node, end func() []string) {
	t.Helper()
	var keepers []*pairKeeper
	var dirs []string
	p := &pair{}
	secret, _, err := identity.OpenSecret(filepath.Join(t.TempDir(), "secret"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range nodes {
		dir := t.TempDir()
		nodes[i] = startNode(t, "", text, func(o *edge.Options) {
			requestClock(o)
			o.Secret = secret
			k, err := replica.Open(replica.Options{Dir: dir, Fingerprint: secret.Fingerprint()})
			if err != nil {
				t.Fatal(err)
			}
			keepers, dirs = append(keepers, &pairKeeper{Keeper: k, pair: p}), append(dirs, dir)
			o.Keeper = keepers[i]
		})
	}
	return nodes, func() []string {
		for i, n := range nodes {
			n.stop()
			if err := keepers[i].Close(); err != nil {
				t.Error(err)
			}
		}
		return dirs
	}
}

// shownAt reports an impression of campaign a in a country, "" for one that is not said.
func (n *node) shownAt(country string, at int64, id string) {
	n.t.Helper()
	device := ""
	if country != "" {
		device = fmt.Sprintf(`"device":{"geo":{"country":%q}},`, country)
	}
	n.event(fmt.Sprintf(`{"type":"impression","id":%q,%s"user":{"id":"u-1"},"campaign":"a","at":%d}`, id, device, at))
}

// times are the seconds of the exposures that a look-up finds.
func (n *node) times(t *testing.T, at int64) (times []int64) {
	t.Helper()
	h := n.lookUp(t, fmt.Sprintf(`{"user":{"id":"u-1"},"at":%d}`, at))
	for _, x := range h.Exposures {
		if x.Per == "campaign" {
			times = x.At
		}
	}
	return times
}

// counted is the check of the cap of campaign a, and the sentence.
func (n *node) counted(t *testing.T, country string, at int64) (check edge.Check, because string) {
	t.Helper()
	var a struct {
		Decisions []struct {
			Because string
			Checks  []edge.Check
		}
	}
	n.must(200, "POST", "/v1/decide?explain=1", "application/json",
		fmt.Sprintf(`{"user":{"id":"u-1"},"device":{"geo":{"country":%q}},"at":%d,"candidates":[{"campaign":"a"}]}`, country, at), &a)
	for _, c := range a.Decisions[0].Checks {
		if c.Rule == "cap" {
			return c, a.Decisions[0].Because
		}
	}
	t.Fatalf("no cap was looked at: %+v", a)
	return check, ""
}

// Nothing that was shown in a market is found when its retention is over: by a decision, a look-up or in a snapshot, on the node that
// accepted it or on another. What was shown elsewhere stays.
func TestMarketRetentionOnEveryNode(t *testing.T) {
	const start = int64(peopleStart)
	for _, c := range []struct {
		country string
		days    int64
	}{{"DEU", 30}, {"USA", 90}, {"", 30}} {
		nodes, end := startPair(t, marketPolicy("30d"))
		nodes[0].shownAt(c.country, start, "i-1")
		for _, at := range []int64{start + 1, start + c.days*oneDay, start + c.days*oneDay + 1, start + c.days*oneDay + 900} {
			there := at <= start+c.days*oneDay
			for i, n := range nodes {
				if times := n.times(t, at); len(times) > 0 != there {
					t.Errorf("%q, node %d: looked up %d s after: %v", c.country, i, at-start, times)
				}
				if check, because := n.counted(t, "USA", at); *check.Count > 0 != there || check.Unknown || (check.Kept == "30d") != (there && c.days == 30) ||
					strings.Contains(because, "in all the time we remember, which is at least 30 days; up to 5 times") != (check.Kept != "") {
					t.Errorf("%q, node %d: decided %d s after: %+v %s", c.country, i, at-start, check, because)
				}
			}
		}
		for _, n := range nodes { // so that both have something new to copy
			n.event(fmt.Sprintf(`{"type":"impression","id":"i-9","user":{"id":"u-9"},"campaign":"a","at":%d}`, start+c.days*oneDay+900))
		}
		for i, dir := range end() {
			if got := inSnapshots(t, dir, start); got {
				t.Errorf("%q: a snapshot of node %d has what is to be forgotten", c.country, i)
			}
		}
		if t.Failed() {
			return
		}
	}
	// And while it is to be kept, it is there: the search can find.
	nodes, end := startPair(t, marketPolicy("30d"))
	nodes[0].shownAt("DEU", start, "i-1")
	for i, dir := range end() {
		if i == 0 && !inSnapshots(t, dir, start) {
			t.Error("the snapshot of the node that took it has nothing")
		}
	}
}

// inSnapshots reports whether a second stands anywhere in the files of snapshots.
func inSnapshots(t *testing.T, dir string, at int64) bool {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(dir, "snapshots", "*.snap"))
	if len(files) == 0 {
		t.Error("there is no snapshot")
	}
	found := false
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found = found || bytes.Contains(b, binary.LittleEndian.AppendUint32(nil, uint32(at)))
	}
	return found
}

// Whoever travels is kept by the shorter retention wherever it was shown, as long as anything is left of him, on both nodes alike.
func TestMarketRetentionOfTraveller(t *testing.T) {
	const start = int64(peopleStart)
	nodes, end := startPair(t, marketPolicy("30d"))
	defer end()
	nodes[0].shownAt("USA", start, "home")
	nodes[1].shownAt("DEU", start+20*oneDay, "abroad")
	nodes[0].shownAt("USA", start+40*oneDay, "home again")
	for _, c := range []struct {
		after int64
		want  int
	}{{40 * oneDay, 2}, {50 * oneDay, 2}, {50*oneDay + 1, 1}, {70 * oneDay, 1}, {70*oneDay + 1, 0}} {
		for i, n := range nodes {
			if times := n.times(t, start+c.after); len(times) != c.want {
				t.Errorf("node %d, %d s after: %v, want %d", i, c.after, times, c.want)
			}
		}
	}
	nodes[0].shownAt("USA", start+72*oneDay, "home for good")
	for i, n := range nodes {
		if times := n.times(t, start+160*oneDay); len(times) != 1 {
			t.Errorf("node %d: %v", i, times)
		}
	}
}

// A token keeps the retention of when it was made, whatever the policy says since; an event without goes by the policy in force. What was
// recorded keeps what it was recorded under.
func TestMarketRetentionAcrossPolicies(t *testing.T) {
	const start = int64(peopleStart)
	for _, c := range []struct {
		made, since string
		token       bool
		days        int64
	}{{"30d", "10d", true, 30}, {"10d", "60d", true, 10}, {"30d", "10d", false, 10}, {"10d", "60d", false, 60}} {
		n := startNode(t, "", marketPolicy(c.made), requestClock)
		a := n.decide(fmt.Sprintf(`{"user":{"id":"u-1"},"device":{"geo":{"country":"DEU"}},"want":1,"token":true,"at":%d,"candidates":[{"campaign":"a"}]}`, start))
		n.must(200, "PUT", "/v1/policy", "", marketPolicy(c.since), nil)
		if c.token {
			n.event(fmt.Sprintf(`{"type":"impression","token":%q,"campaign":"a","at":%d}`, a.Token, start+1))
		} else {
			n.shownAt("DEU", start+1, "i-1")
		}
		if times := n.times(t, start+1+c.days*oneDay); len(times) != 1 {
			t.Errorf("%+v: too early: %v", c, times)
		}
		n.must(200, "PUT", "/v1/policy", "", marketPolicy("90d"), nil)
		if times := n.times(t, start+2+c.days*oneDay); len(times) != 0 {
			t.Errorf("%+v: too late: %v", c, times)
		}
		// A shorter one binds what is recorded from then on, and with it the rest of the record.
		n.must(200, "PUT", "/v1/policy", "", marketPolicy("3d"), nil)
		at := start + 100*oneDay
		n.shownAt("USA", at-5*oneDay, "u")
		if times := n.times(t, at); len(times) != 1 {
			t.Errorf("%+v: %v", c, times)
		}
		n.shownAt("DEU", at, "d")
		if times := n.times(t, at); len(times) != 1 || times[0] != at {
			t.Errorf("%+v: %v", c, times)
		}
		n.stop()
	}
}

// An erasure wins over what comes late, on both nodes; what is shown after it begins anew.
func TestMarketRetentionAndErasure(t *testing.T) {
	const start = int64(peopleStart)
	nodes, end := startPair(t, marketPolicy("30d"))
	defer end()
	nodes[0].shownAt("DEU", start, "i-1")
	e := nodes[1].erase(t, fmt.Sprintf(`{"user":{"id":"u-1"},"keep_opt_out":false,"at":%d}`, start+10))
	nodes[0].shownAt("DEU", start+5, "i-2")
	nodes[0].shownAt("USA", e.Until+1, "i-3")
	for i, n := range nodes {
		if times := n.times(t, e.Until+60*oneDay); len(times) != 1 || times[0] != e.Until+1 {
			t.Errorf("node %d: %v", i, times)
		}
		if h := n.lookUp(t, fmt.Sprintf(`{"user":{"id":"u-1"},"at":%d}`, e.Until+60*oneDay)); h.KeptSeconds != 0 {
			t.Errorf("node %d: %+v", i, h)
		}
	}
}

// A place that is held where a retention of its own holds brings that along, on the other node too.
func TestMarketRetentionOfHold(t *testing.T) {
	const start = int64(peopleStart)
	nodes, end := startPair(t, marketPolicy("30d"))
	defer end()
	a := nodes[0].decide(fmt.Sprintf(`{"user":{"id":"u-1"},"device":{"geo":{"country":"DEU"}},"want":1,"hold":true,"at":%d,"candidates":[{"campaign":"a"}]}`, start))
	if !a.Decisions[0].Show {
		t.Fatalf("%+v", a)
	}
	for i, n := range nodes {
		if h := n.lookUp(t, fmt.Sprintf(`{"user":{"id":"u-1"},"at":%d}`, start+1)); len(h.Holds) != 1 || h.KeptSeconds != 30*oneDay {
			t.Errorf("node %d: %+v", i, h)
		}
	}
}

// Of a person with several identifiers the look-up says the shortest retention, whichever comes first.
func TestMarketRetentionOfSeveralIdentifiers(t *testing.T) {
	const start = int64(peopleStart)
	n := startNode(t, "", strings.Replace(marketPolicy("30d"), "  - {name: us", "  - {name: fr, countries: [FRA], require: none, retention: {exposures: 10d}}\n  - {name: us", 1), requestClock)
	for id, country := range map[string]string{"a": "DEU", "b": "FRA", "c": "USA"} {
		n.event(fmt.Sprintf(`{"type":"impression","id":%q,"user":{"id":%q},"device":{"geo":{"country":%q}},"campaign":"a","at":%d}`, id, id, country, start))
	}
	for _, c := range []struct {
		first, second string
		want          int64
	}{{"a", "b", 10}, {"b", "a", 10}, {"a", "c", 30}, {"c", "b", 10}, {"c", "c", 0}} {
		ids := fmt.Sprintf(`{"source":"user.id","uids":[{"id":%q},{"id":%q}]}`, c.first, c.second)
		if h := n.lookUp(t, fmt.Sprintf(`{"user":{"eids":[%s]},"at":%d}`, ids, start)); len(h.Exposures) == 0 || h.KeptSeconds != c.want*oneDay {
			t.Errorf("%+v: %+v", c, h)
		}
	}
}

// It is said wherever retention is: what is kept, why, what a policy changes, and what to have in mind.
func TestMarketRetentionIsSaid(t *testing.T) {
	const start = int64(peopleStart)
	n := startNode(t, "", marketPolicy("30d"), requestClock)
	var r retentionAnswer
	n.must(200, "GET", "/v1/retention", "", "", &r)
	if len(r.Kept) < 2 || r.Kept[0].Seconds != 90*oneDay || r.Kept[1].Kind != "exposures" || r.Kept[1].Seconds != 30*oneDay || r.Kept[1].Setting != "markets.de.retention.exposures" {
		t.Errorf("%+v", r.Kept)
	}
	for country, want := range map[string]uint32{"DEU": 30 * oneDay, "USA": 90 * oneDay} {
		a := n.decide(fmt.Sprintf(`{"user":{"id":"u-2"},"device":{"geo":{"country":%q}},"want":1,"token":true,"at":%d,"candidates":[{"campaign":"a"}]}`, country, start))
		s := n.whyOf(t, a.Token, "a")
		if s.Kept[0].Kind != "exposures" || uint32(s.Kept[0].Seconds) != want || !strings.Contains(s.Kept[0].Detail, fmt.Sprintf("for %d days", want/oneDay)) {
			t.Errorf("%s: %+v", country, s.Kept)
		}
	}
	var put struct {
		Changes []struct{ Key, Text string }
		Notes   []struct{ Key, Text string }
	}
	n.must(200, "PUT", "/v1/policy?dry_run=1", "", marketPolicy("15d"), &put)
	if len(put.Changes) != 1 || put.Changes[0].Key != "markets" || !strings.Contains(put.Changes[0].Text, "retention: {exposures: 15d}") ||
		len(put.Notes) != 1 || put.Notes[0].Key != "campaigns.a.caps[0]" || !strings.Contains(put.Notes[0].Text, "de (15d, also where no country is said)") {
		t.Errorf("%+v", put)
	}
	n.refused(t, 400, "PUT", "/v1/policy", "", marketPolicy("32d"), "32d", "31d")
	put.Notes = nil
	n.must(200, "PUT", "/v1/policy", "", marketPolicy("90d"), &put)
	if len(put.Notes) != 0 {
		t.Errorf("%+v", put.Notes)
	}
}
