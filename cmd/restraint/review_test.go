package main

import "testing"

const reviewAnswer = `{"campaign":"a/b","in_policy":true,"level":"lowered","in_force":true,
	"dialled_back":{"since":1793500000,"policy":12,"window":86400,"shown":20000,"weighing":60,"people":55,"per_10k":5,"node":"edge-1"},
	"released":{"at":1793400000,"from":"paused","why":"the creative was replaced","by":"me (key k1)","node":"edge-2"},
	"window":{"from":1793413599,"to":1793500010,"reports":{"hide":70,"complaint":10,"helpful":3,"intrusive":40,"opt_out":5},"weighing":61,"people":56,"shown":20100,"per_10k":30.348,"estimated":true},
	"rule":{"window_seconds":86400,"min_shown":10000,"min_people":50,"hides_per_10k":5,"pause_at":20,"factor":0.5}}`

func TestPolicyReview(t *testing.T) {
	addr, last := fakeNode(t, 200, "application/json", reviewAnswer)
	inProcess(t, nil, "", "policy", "review", "--addr", addr, "a/b").must(t, 0,
		"a/b is lowered: its caps are scaled down until it is released\n",
		"  since     2026-11-01 02:26:40 UTC, under policy version 12, found by edge-1\n",
		"  by        60 reports by 55 people in 20,000 showings within 24h; 5 in 10,000 are enough\n",
		"  released  2026-10-30 22:40:00 UTC by me (key k1) on edge-2, from paused: the creative was replaced\n",
		"  shown     20,100\n", "  weighing  about 61 reports by 56 people, which is 30.3 in 10,000\n", "  hide      about 70\n", "  opt_out   about 5\n",
		"rule: from 10,000 shown and 50 people on, lowered to 50 % at 5 in 10,000, paused at 20, within 24h\n")
	if last.method != "GET" || last.path != "/v1/campaigns/a/b/review" || last.body != "" {
		t.Errorf("asked %+v", last)
	}
	inProcess(t, nil, "", "policy", "review", "--addr", addr, "a/b", "--json").must(t, 0, `"in_force":true`)
	inProcess(t, nil, "", "policy", "review", "--addr", addr, "a/b", "--release", "--why", "looked at it").must(t, 0, "a/b is lowered")
	if last.method != "POST" || last.path != "/v1/campaigns/a/b/release" || last.body != "" || last.header.Get("Restraint-Why") != "looked at it" {
		t.Errorf("asked %+v", last)
	}
	inProcess(t, nil, "", "policy", "review", "--addr", addr, "--release").must(t, 2, "name the campaign")
	inProcess(t, nil, "", "policy", "review", "--addr", addr, "x", "--why", "y").must(t, 2, "--release")

	addr, _ = fakeNode(t, 200, "application/json", `{"campaign":"x","in_policy":false,"level":"none","in_force":false,
		"window":{"reports":{"hide":1},"weighing":1,"people":1}}`)
	inProcess(t, nil, "", "policy", "review", "--addr", addr, "x").must(t, 0, "x is not dialled back\n", "the policy in force does not have it\n",
		"  weighing  1 report by 1 person, which is 0.0 in 10,000\n", "rule: dial_back is off\n")
	addr, _ = fakeNode(t, 409, problemJSON, `{"type":"about:blank","title":"Conflict","status":409,"detail":"the campaign \"x\" is not dialled back"}`)
	inProcess(t, nil, "", "policy", "review", "--addr", addr, "x", "--release").must(t, 1, "is not dialled back")
}

func TestPolicyReviewList(t *testing.T) {
	addr, last := fakeNode(t, 200, "application/json", `{"policy":3,"campaigns":[
		{"campaign":"shoes","in_policy":true,"level":"paused","in_force":true,"dialled_back":{"since":1793500000,"window":5400,"shown":10000,"weighing":25,"people":25,"per_10k":20}},
		{"campaign":"gone","in_policy":false,"level":"lowered","in_force":false,"dialled_back":{"since":1793500000,"shown":1,"weighing":1,"people":1,"per_10k":5}},
		{"campaign":"off","in_policy":true,"level":"lowered","in_force":false,"dialled_back":{"since":1793500000,"shown":1,"weighing":1,"people":1,"per_10k":5}}]}`)
	inProcess(t, nil, "", "policy", "review", "--addr", addr).must(t, 0,
		"shoes     paused   2026-11-01 02:26:40 UTC  25 reports by 25 people in 10,000 showings within 90m; 20 in 10,000 are enough  yes\n",
		"no, the policy does not have it\n", "no, dial_back is off\n")
	if last.method != "GET" || last.path != "/v1/dial-back" {
		t.Errorf("asked %+v", last)
	}
	inProcess(t, nil, "", "policy", "review", "--addr", addr, "--json").must(t, 0, `{"policy":3`)
	addr, _ = fakeNode(t, 200, "application/json", `{"campaigns":[]}`)
	inProcess(t, nil, "", "policy", "review", "--addr", addr).must(t, 0, "no campaign is dialled back\n")
}
