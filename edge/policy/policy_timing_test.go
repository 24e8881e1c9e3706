package policy

import (
	"fmt"
	"testing"
)

// manyCampaigns is a policy of n campaigns of 100 advertisers.
func manyCampaigns(n int) string {
	b := []byte("campaigns:\n")
	for i := range n {
		b = fmt.Appendf(b, "  campaign-%d:\n    advertiser: a%d\n    caps: [{per: campaign, limit: 3, within: 24h}, {per: advertiser, limit: 6, within: day}]\n", i, i%100)
	}
	return string(b)
}

func BenchmarkCampaign(b *testing.B) {
	for _, n := range []int{10, 1000, 100_000} {
		p := compiled(b, manyCampaigns(n))
		ids := make([][]byte, 4096)
		for i := range ids {
			ids[i] = []byte(p.Campaigns[i*7919%n].ID)
		}
		b.Run(fmt.Sprintf("campaigns=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if p.Campaign(ids[i&4095]) == nil {
					b.Fatal("a campaign is not found")
				}
			}
		})
	}
}

func BenchmarkMoment(b *testing.B) {
	p := compiled(b, "timezone: Europe/Berlin\ncampaigns: {}")
	b.Run("day=same", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			p.Moment(1_793_500_000)
		}
	})
	b.Run("day=new", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			MomentIn(p.Zone, 1_793_500_000)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for _, n := range []int{10, 1000, 100_000} {
		text := []byte(manyCampaigns(n))
		b.Run(fmt.Sprintf("campaigns=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if _, err := Parse(text, "p"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	for _, n := range []int{10, 1000, 100_000} {
		src, err := Parse([]byte(manyCampaigns(n)), "p")
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("campaigns=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Compile(src, Options{Tagger: testTagger()})
			}
		})
	}
}
