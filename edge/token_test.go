package edge_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"restraint/edge/identity"
)

// A token of yesterday is refused by every path that takes one, and says so; one of
// an hour ago is taken.
func TestExpiredToken(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	secret, _, err := identity.OpenSecret(filepath.Join(n.dir, "secret"))
	if err != nil {
		t.Fatal(err)
	}
	tags, tokens := identity.NewTags(secret), identity.NewTokens(secret)
	made := func(ago time.Duration) string {
		g := identity.Grant{
			Issued: uint32(time.Now().Add(-ago).Unix()), Keys: []identity.Key{{1}}, Store: true,
			Shown: []identity.Shown{{
				Campaign:  identity.ShownCampaign(tags.Tag(identity.KindCampaign, 0, "shoes")),
				Candidate: tags.Candidate([]byte("shoes"), nil, nil),
			}},
		}
		return string(tokens.Append(nil, &g))
	}
	old := made(25 * time.Hour)
	for _, kind := range []string{"impression", "click", "hide", "release"} {
		event := fmt.Sprintf(`{"type":%q,"token":%q,"campaign":"shoes"}`, kind, old)
		n.refused(t, 400, "POST", "/v1/events", "application/json", event, "token", "expired")
	}
	n.refused(t, 400, "GET", "/v1/impression?campaign=shoes&t="+old, "", "", "token", "expired")
	n.refused(t, 400, "GET", "/v1/impression.gif?campaign=shoes&t="+old, "", "", "token", "expired")
	n.refused(t, 400, "GET", "/v1/release?t="+old, "", "", "token", "expired")
	n.refused(t, 400, "POST", "/v1/hide?campaign=shoes&t="+old, "", "", "token", "expired")
	n.refused(t, 400, "POST", "/v1/opt-out?t="+old, "", "", "token", "expired")
	if status, page := n.do("GET", "/v1/why?campaign=shoes&t="+old, "", ""); status != 400 || !strings.Contains(string(page), "works for 24 hours") {
		t.Errorf("an expired link: %d\n%s", status, page)
	}
	n.must(200, "GET", "/v1/why?campaign=shoes&t="+made(time.Hour), "", "", nil)
	n.must(204, "GET", "/v1/impression?campaign=shoes&t="+made(time.Hour), "", "", nil)
}
