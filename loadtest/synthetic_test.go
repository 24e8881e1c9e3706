package loadtest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"testing"
	"time"
)

func TestSyntheticLogIsTheSameForTheSameSeed(t *testing.T) {
	sum := func(seed uint64) string {
		var b bytes.Buffer
		if err := SyntheticLog(&b, seed, 1000, 5000); err != nil {
			t.Fatal(err)
		}
		h := sha256.Sum256(b.Bytes())
		return hex.EncodeToString(h[:8])
	}
	if again := sum(7); again != sum(7) || again == sum(8) {
		t.Error("the seed does not decide the log")
	}
	if got, want := sum(7), "3c3454e8790562f6"; got != want {
		t.Errorf("seed 7 gives %s, not %s: the published log of a seed has changed", got, want)
	}
}

func TestSyntheticLogReplays(t *testing.T) {
	var b bytes.Buffer
	if err := SyntheticLog(&b, 1, 2000, 3000); err != nil {
		t.Fatal(err)
	}
	f := newFakeNode(t)
	o := ReplayOptions{Addr: f.addr(), Log: &b, Preset: "synthetic", Check: []ExpectedCap{{Per: "campaign", Limit: 3, Within: 24 * time.Hour}}}
	if testing.Verbose() {
		o.Summary = os.Stdout
	}
	s := mustReplay(t, o)
	if s.Synthetic == "" || s.Rejected.Rows != 0 || s.Impressions != 3000 || s.Spared == 0 || s.Shown == 0 {
		t.Errorf("label %q, rejected %d, impressions %d, spared %d, shown %d", s.Synthetic, s.Rejected.Rows, s.Impressions, s.Spared, s.Shown)
	}
	if s.AfterPurchase == nil || s.AfterPurchase.Item.InLog == 0 || s.Clicks == nil || s.CampaignCount < 3 {
		t.Errorf("after purchase %+v, clicks %+v, %d campaigns", s.AfterPurchase, s.Clicks, s.CampaignCount)
	}
	if s.MostBefore < 50 || s.Exposures[1].Before == 0 {
		t.Errorf("showings per user have no heavy tail: %+v", s.Exposures)
	}
}

func TestSyntheticLogRefusesSizes(t *testing.T) {
	for _, c := range [][2]int{{0, 1}, {1, 0}, {1, 9_000_000}, {20_000_000, 1}} {
		if err := SyntheticLog(&bytes.Buffer{}, 1, c[0], c[1]); err == nil {
			t.Errorf("%v is taken", c)
		}
	}
	if err := SyntheticLog(&bytes.Buffer{}, 1, 1, 100); err != nil {
		t.Error(err)
	}
}
