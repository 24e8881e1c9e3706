package policy

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzParse(f *testing.F) {
	contract, err := os.ReadFile("../../deploy/examples/policy.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(contract)
	f.Add(Example)
	for _, c := range faultCases {
		text := c.text
		if !c.whole {
			text = around + "    " + strings.ReplaceAll(c.text, "\n", "\n    ") + "\n"
		}
		f.Add([]byte(text))
	}
	f.Add([]byte(`{"campaigns":{"a":{"advertiser":"\ud83d\ude00","caps":[{"per":"campaign","limit":3,"within":"24h"}]}}}`))
	f.Fuzz(func(t *testing.T, given []byte) {
		text := bytes.Clone(given)
		src, err := Parse(text, "p")
		if !bytes.Equal(text, given) {
			t.Fatal("the text was changed")
		}
		if err != nil {
			faults, ok := err.(Faults)
			if !ok || len(faults) == 0 || src != nil {
				t.Fatalf("refused with %T %v", err, err)
			}
			for i := range faults {
				if f := &faults[i]; f.Line < 1 || f.Detail == "" || !utf8.ValidString(f.Error()) && utf8.Valid(text) {
					t.Fatalf("fault %q", f.Error())
				}
			}
			return
		}
		clear(text)
		p := Compile(src, Options{Tagger: testTagger(), Now: 1_800_000_000})
		checkCompiled(t, p)
		again := Compile(src, Options{Tagger: testTagger(), Now: 1_800_000_000, Previous: p})
		if len(again.Held) != 0 {
			t.Fatalf("the same text again holds %v", again.Held)
		}
		if changes := Diff(p, again); len(changes) != 0 {
			t.Fatalf("the same text again changes %v", changes)
		}
		for _, v := range p.People() {
			if v.Sentence == "" || v.Strictest == "" {
				t.Fatalf("no sentence for %q", v.Campaign)
			}
		}
	})
}

// checkCompiled looks at what every compiled policy must fulfil.
func checkCompiled(t testing.TB, p *Policy) {
	t.Helper()
	for i := range p.Campaigns {
		c := &p.Campaigns[i]
		if p.Campaign([]byte(c.ID)) != c || c.Index != i || c.From >= c.To || c.Hold == 0 {
			t.Fatalf("campaign %q cannot be found or run", c.ID)
		}
		if own := c.Scopes[c.CampaignScope]; own.Per != PerCampaign || own.Channel != "" || own.Tag != c.Tag || own.Keep < 1 {
			t.Fatalf("campaign %q has the own scope %+v", c.ID, own)
		}
		if c.Diversity > 0 && (c.Scopes[c.CreativeScope].Per != PerRun || int(c.Scopes[c.CreativeScope].Keep) < c.Diversity ||
			int(c.Scopes[0].Keep) < c.Diversity) {
			t.Fatalf("campaign %q has the diversity scope %+v", c.ID, c.Scopes[c.CreativeScope])
		}
		for j, limit := range c.Caps {
			if limit.Limit < 1 || limit.Scope < 0 || c.Scopes[limit.Scope].Keep < limit.Limit {
				t.Fatalf("campaign %q caps[%d] is %+v", c.ID, j, limit)
			}
		}
		seen := map[Scope]bool{}
		for _, s := range c.Scopes {
			s.Keep = 0
			if seen[s] || s.Tag == 0 && s.Base == 0 || s.Tag != 0 && s.Base != 0 {
				t.Fatalf("campaign %q has the scope %+v", c.ID, s)
			}
			seen[s] = true
		}
		for _, l := range c.Suppress {
			if p.Lists[l].Items {
				t.Fatalf("campaign %q suppresses by an items list", c.ID)
			}
		}
		for _, l := range c.Purchased.Lists {
			if !p.Lists[l].Items {
				t.Fatalf("campaign %q asks a list without items", c.ID)
			}
		}
	}
}

func TestBombsAreRefusedInBounds(t *testing.T) {
	laughs := "campaigns:\n  a0: &a0 {advertiser: x}\n"
	for i := 1; i < 14; i++ {
		laughs += fmt.Sprintf("  a%d: &a%d {%s}\n", i, i, strings.Repeat(fmt.Sprintf("? *a%d : *a%d, ", i-1, i-1), 4))
	}
	bombs := map[string]string{
		"laughs":       "markets: [" + strings.Repeat("a,", 10) + "]\n" + laughs,
		"nested lists": "x0: &x0 [a, a, a, a, a, a, a, a, a]\nx1: &x1 [*x0, *x0, *x0, *x0]\nsources: [*x1, *x1]\n",
		"deep flow":    "campaigns: " + strings.Repeat("{a: ", 9000),
		"deep block":   "campaigns: " + strings.Repeat("- ", 9000),
		"deep indent":  deepIndent(2000),
		"long key":     "campaigns: {? " + strings.Repeat("k", 1<<20) + " : {}}",
		"many colons":  "campaigns: {" + strings.Repeat(":,", 100_000) + "}",
		"over 16 MiB":  "campaigns: {}\n#" + strings.Repeat("x", MaxTextBytes),
		"separators":   "campaigns: {}\n" + strings.Repeat("# ,,,\n", 1_100_000),
		"many anchors": "campaigns: {a: [" + strings.Repeat("&a a,", 100_000) + "]}",
	}
	for name, text := range bombs {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := Parse([]byte(text), "bomb")
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Fatal("accepted")
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 500<<20 {
				t.Errorf("%d MiB allocated", used>>20)
			}
		})
	}
}

func deepIndent(levels int) string {
	var b strings.Builder
	b.WriteString("campaigns:\n")
	for i := range levels {
		b.WriteString(strings.Repeat(" ", i+1) + "a:\n")
	}
	return b.String()
}

func TestAliasesWork(t *testing.T) {
	p := compiled(t, `campaigns:
  a: {advertiser: x, caps: &usual [{per: campaign, limit: 3, within: 24h}]}
  b: {advertiser: y, caps: *usual}
`)
	if c := p.Campaign([]byte("b")); c == nil || len(c.Caps) != 1 || c.Caps[0].Limit != 3 {
		t.Errorf("b is %+v", c)
	}
}

func TestJSONIsRead(t *testing.T) {
	p := compiled(t, "{\n\t\"timezone\": \"Asia\\/Tokyo\",\n\t\"campaigns\": {\"a\\ud83d\\ude00\": {\"advertiser\":\"x\",\"caps\":[{\"per\":\"campaign\",\"limit\":3,\"within\":\"24h\"}]}}}")
	if p.Zone.String() != "Asia/Tokyo" || p.Campaign([]byte("a😀")) == nil {
		t.Errorf("zone %s, campaigns %+v", p.Zone, p.Campaigns)
	}
	if _, err := Parse([]byte(`{"campaigns":{"a":{"advertiser":"x"},"a":{"advertiser":"y"}}}`), "p"); err == nil {
		t.Error("a key written twice in JSON is accepted")
	}
}
