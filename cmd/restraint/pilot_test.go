package main

import (
	"strings"
	"testing"
)

const pilotRunning = `{"running":true,"percent":10,"version":6,"before":5,"since":"2027-01-15T08:00:00Z","changed":"2027-01-16T08:00:00Z",
 "changes":[{"key":"campaigns.a.spacing","text":"off becomes 30m"}],
 "effect":{"arms":[{"arm":"before","decisions":91234,"shown":30000},{"arm":"pilot","decisions":10000,"shown":2500,"hides":3},{"arm":"holdout"}],
 "rates":[{"what":"shown","of":"decisions","before":0.3288,"pilot":0.25,"difference":-0.0788,"low":-0.09,"high":-0.0671,"verdict":"less"},
 {"what":"clicks","of":"impressions","before":0.01,"pilot":0.012,"difference":0.002,"low":-0.001,"high":0.005,"verdict":"alike","independent":true},
 {"what":"hides","of":"impressions","before":0,"pilot":0.0012,"difference":0.0012,"verdict":"too_few"}]}}`

func TestPilotCommands(t *testing.T) {
	for _, c := range []struct {
		args, answer, method, query string
		wants                       []string
	}{
		{"pilot", pilotRunning, "GET", "", []string{
			"version 6 is tried out on 10 % of people since 2027-01-15T08:00:00Z, beside version 5\non so many since 2027-01-16T08:00:00Z\n",
			"  campaigns.a.spacing: off becomes 30m\n",
			"before   91,234     30,000  0            0       0          0      0\n", "pilot    10,000     2,500   0            0       0          3      0\n",
			"shown of decisions     32.9 %  25 %    -7.88       -9 to -6.71    less\n",
			"clicks of impressions  1 %     1.2 %   +0.2        -0.1 to +0.5   may be chance (*)\n",
			"hides of impressions   0 %     0.12 %  +0.12                      too few to tell\n",
			"(*) too little has happened",
		}},
		{"pilot --promote", `{"version":7}`, "POST", "end=promote", []string{"version: 7"}},
		{"pilot --stop --dry-run", `{"version":7}`, "POST", "dry_run=1&end=stop", nil},
		{"pilot --percent 20", `{"version":7}`, "POST", "percent=20", nil},
	} {
		addr, last := fakeNode(t, 200, "application/json", c.answer)
		args := append([]string{"policy"}, strings.Fields(c.args)...)
		inProcess(t, nil, "", append(args, "--addr", addr)...).must(t, 0, c.wants...)
		if last.method != c.method || last.path != "/v1/policy/pilot" || last.query != c.query {
			t.Errorf("%s: asked %+v", c.args, last)
		}
	}
	addr, _ := fakeNode(t, 200, "application/json", `{"running":false}`)
	for _, args := range []string{"pilot", "show --pilot", "diff --effect"} {
		inProcess(t, nil, "", append(append([]string{"policy"}, strings.Fields(args)...), "--addr", addr)...).must(t, 1, "no policy is being tried out; restraint policy put --pilot 10 FILE")
	}
	for args, want := range map[string]string{
		"pilot --promote --stop": "--promote", "pilot --percent 101": "--percent 101", "pilot --dry-run": "--dry-run says",
		"diff": "give the path", "diff --effect p.yaml": "leave file", "show --pilot --number 3": "--number",
	} {
		inProcess(t, nil, "", append(append([]string{"policy"}, strings.Fields(args)...), "--addr", addr)...).must(t, 2, want)
	}
}
