package edge_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"restraint/edge"
	"restraint/edge/shared/sharedtest"
)

// suppressedAt is suppressed under the requests' clock.
func (n *node) suppressedAt(user string, at int64) bool {
	n.t.Helper()
	a := n.decide(fmt.Sprintf(`{"user":{"id":%q},"at":%d,"candidates":[{"campaign":"welcome"}]}`, user, at))
	return a.Decisions[0].Reason == "suppressed"
}

// Members with an until leave at that second on every node, also on one that joins
// later and after a restart; who was added for good as well stays.
func TestListUntil(t *testing.T) {
	s, all := sharedtest.New(), newLists()
	start := func(dir string) *node {
		l := newLink(s)
		return startNode(t, dir, testPolicy, func(o *edge.Options) {
			o.Secret, o.RequestClock = listSecret(t), true
			o.Shared, o.Lists = l, &listLink{lists: all, link: l}
		})
	}
	a, b := start(""), start("")
	now := time.Now().Unix()
	soon, later := now+3600, now+7200
	a.must(201, "PUT", fmt.Sprintf("%s?id=user.id&until=%d", customers, soon), "text/plain", "u1\nu2\n", nil)
	b.must(200, "POST", customers+"/add?id=user.id&until="+time.Unix(later, 0).UTC().Format(time.RFC3339), "text/plain", "u2\nu3\n", nil)
	a.must(200, "POST", fmt.Sprintf("%s/add?id=user.id", customers), "text/plain", "u4\n", nil)
	b.must(200, "POST", fmt.Sprintf("%s/add?id=user.id&until=%d", customers, soon), "text/plain", "u4\n", nil)
	want := func(what string, nodes ...*node) {
		t.Helper()
		for i, n := range nodes {
			for at, members := range map[int64]string{now: "u1 u2 u3 u4", soon - 1: "u1 u2 u3 u4", soon: "u2 u3 u4", later - 1: "u2 u3 u4", later: "u4", later + 1e8: "u4"} {
				eventually(t, fmt.Sprintf("%s, node %d: members %d seconds later: %s", what, i, at-now, members), func() bool {
					var in []string
					for _, user := range []string{"u1", "u2", "u3", "u4", "u5"} {
						if n.suppressedAt(user, at) {
							in = append(in, user)
						}
					}
					return strings.Join(in, " ") == members
				})
			}
		}
	}
	want("live", a, b)
	b.stop()
	b = start(b.dir)
	want("after a restart and a join", a, b, start(""))
	var st struct {
		Keys, Leaving int
		Until         int64
	}
	a.must(200, "GET", customers, "", "", &st)
	if st.Keys != 4 || st.Leaving != 3 || st.Until != soon {
		t.Errorf("%+v", st)
	}
}

// A second that cannot be meant is refused, says why, and changes nothing.
func TestListUntilRefused(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	n.must(201, "PUT", customers+"?id=user.id", "text/plain", "u1\n", nil)
	for _, c := range [][2]string{
		{"?until=1500000000", "which is past"},
		{"?until=1970-01-01T00:00:09Z", "which is past"},
		{"/add?until=4000000000", "more than ten years ahead"},
		{"/add?until=1793500000000", "not milliseconds"},
		{"/add?until=tomorrow", "2027-01-31T00:00:00Z"},
		{"/add?until=-5", "Unix seconds"},
		{"/remove?until=" + fmt.Sprint(time.Now().Unix()+60), "leave it out"},
	} {
		method := "POST"
		if strings.HasPrefix(c[0], "?") {
			method = "PUT"
		}
		n.refused(t, 400, method, customers+c[0]+"&id=user.id", "text/plain", "u2\n", c[1])
	}
	var st struct{ Keys int }
	if _, body := n.do("GET", customers, "", ""); json.Unmarshal(body, &st) != nil || st.Keys != 1 || n.suppressed("u2") {
		t.Errorf("%s", body)
	}
}
