package policy

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestDeployedExamplesAreWithoutFault(t *testing.T) {
	files, err := filepath.Glob("../../deploy/examples/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no example policies: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(text, file); err != nil {
			t.Error(err)
		}
	}
}

// TestLogPoliciesNameTheirCampaigns: a replay sends these names, and a campaign
// that the policy does not know is never shown.
func TestLogPoliciesNameTheirCampaigns(t *testing.T) {
	journey := make([]string, 27)
	for i := range journey {
		journey[i] = fmt.Sprintf("completejourney-%d", i+1)
	}
	for log, campaigns := range map[string][]string{
		"completejourney": journey,
		"online-retail":   {"online-retail"},
		"cdnow":           {"cdnow"},
		"open-bandit":     {"open-bandit-all", "open-bandit-men", "open-bandit-women"},
		"otto":            {"otto"},
		"synthetic":       {"synthetic-shoes", "synthetic-coats", "synthetic-phones", "synthetic-travel", "synthetic-toys"},
	} {
		text, err := os.ReadFile("../../deploy/examples/" + log + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		p := compiled(t, string(text))
		for _, id := range campaigns {
			if c := p.Campaign([]byte(id)); c == nil || c.Advertiser != log || len(c.Caps) == 0 || c.Interest.Set {
				t.Errorf("%s: campaign %s is %+v", log, id, c)
			}
		}
		if len(p.Campaigns) != len(campaigns) {
			t.Errorf("%s has %d campaigns, want %d", log, len(p.Campaigns), len(campaigns))
		}
	}
}
