package policy

import (
	"strings"
	"sync"
	"testing"
	_ "time/tzdata"

	"restraint/edge/identity"
)

var testTags = sync.OnceValue(func() *identity.Tags {
	secret, err := identity.ParseSecret([]byte("0123456789abcdefghijklmnopqrstuv"))
	if err != nil {
		panic(err)
	}
	return identity.NewTags(secret)
})

func testTagger() Tagger { return testTags().Tag }

// compiled parses and compiles a text that has no fault.
func compiled(t testing.TB, text string) *Policy {
	t.Helper()
	src, err := Parse([]byte(text), "policy.yaml")
	if err != nil {
		t.Fatalf("parse policy: %v", err)
	}
	return Compile(src, Options{Tagger: testTagger()})
}

func TestExampleIsWithoutFault(t *testing.T) {
	p := compiled(t, string(Example))
	c := p.Campaign([]byte("spring-shoes"))
	if c == nil || c.ID != "spring-shoes" || c.Interest.Set || c.From != 0 || c.To != forever {
		t.Fatalf("spring-shoes is %+v", c)
	}
	if len(p.Markets) != 1 || p.Markets[0].Require != RequireNone || p.Markets[0].QuietFrom != p.Markets[0].QuietTo {
		t.Errorf("the example's markets are %+v", p.Markets)
	}
	if !strings.Contains(string(Example), "trying out") {
		t.Error("the example does not say that it is for trying out")
	}
	for i := range p.Campaigns {
		c := &p.Campaigns[i]
		for j, cap := range c.Caps {
			if s := c.Scopes[cap.Scope]; s.Per.String()+s.Name != cap.Per || s.Keep < cap.Limit {
				t.Errorf("%s: caps[%d] per %s counts under %+v", c.ID, j, cap.Per, s)
			}
		}
	}
}
