package main

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
)

func TestLists(t *testing.T) {
	addr, last := fakeNode(t, 200, "application/json", `{"lists":[
		{"list":"customers","state":"ready","declared":true,"generation":12,"keys":1000000,"age":93784,"false_positive_rate":0.0001,"bytes":2516582,"disk_bytes":16000000,"sources":["email_sha256","user.id"],"leaving":1200,"kind":"opt_out","source":"first_party","basis":"objection",
		 "seen":[{"source":"email_sha256","last_seen":null,"watched":90000,"silent":true},{"source":"user.id","last_seen":3,"watched":90000,"silent":false}],
		 "nodes":[{"node":"a","state":"ready","generation":12,"current":true,"heard":5},{"node":"b","state":"ready","generation":11,"current":false,"heard":5},
			{"node":"c","state":"ready","generation":12,"current":true,"heard":7200},{"node":"d","state":"damaged","generation":12,"current":true,"heard":5}]},
		{"list":"new","state":"none","declared":true,"sources":["ifa"],"seen":[{"source":"ifa","last_seen":180000,"watched":900000,"silent":true}]},
		{"list":"orders","state":"stale","declared":false,"exact":true,"generation":1,"keys":5,"age":59,"bytes":1}]}`)
	inProcess(t, nil, "", "lists", "--addr", addr).must(t, 0,
		"LIST       STATE  GENERATION  KEYS       AGE    FALSE POSITIVES  MEMORY   DISK      NODES   SOURCES               KIND     FROM         BASIS\n",
		"customers  ready  12          1,000,000  1d 2h  1 in 10,000      2.4 MiB  15.3 MiB  1 of 4  email_sha256 user.id  opt_out  first_party  objection\n",
		"new        none   0           0          -      -                0 B      0 B       -       ifa                   -        -            -\n",
		"orders     stale  1           5          59s    none             1 B      0 B",
		"customers: 1,200 of the members leave by themselves\n",
		"customers: no request in 24 h carried email_sha256 (never in the 1d 1h that this node watched)",
		"customers: node b has generation 11 still, or already\n",
		"customers: nothing was heard of node c for 2h 0m\n",
		"customers: node d says that it is damaged\n",
		"new: no request in 24 h carried ifa (last 2d 2h ago)",
		"orders: the policy in force does not declare this list")
	if last.method != "GET" || last.path != "/v1/lists" || last.body != "" {
		t.Errorf("asked %+v", last)
	}
	inProcess(t, nil, "", "lists", "--addr", addr, "--json").must(t, 0, `{"lists":[`)
}

const decided = `{"policy":12,"token":"T0","decisions":[
 {"campaign":"brand-x","show":false,"reason":"cap","retry_after":5400,"because":"Not shown: you have seen this 2 times.","checks":[
  {"rule":"active","pass":true},
  {"rule":"cap","per":"campaign","within":"24h","limit":2,"count":2,"at":1800000000,"novel":[1],"pass":false}]},
 {"campaign":"spring-shoes","show":true,"because":"Shown: nothing speaks against it.","checks":[{"rule":"cap","per":"all","channel":"web","limit":3,"count":0,"pass":true}]}]}`

func TestDecide(t *testing.T) {
	addr, last := fakeNode(t, 200, "application/json", decided)
	r := inProcess(t, nil, "", "decide", "--addr", addr, "--user", "u-secret", "--campaign", "brand-x", "--campaign", "spring-shoes")
	r.must(t, 0, "policy version 12\n", "brand-x  skip: cap, again in 1h 30m\n  Not shown: you have seen this 2 times.\n",
		"  fail  cap     per campaign, 2 of 2, within 24h, at 2027-01-15T08:00:00Z, novel [1]\n", "spring-shoes  show\n",
		"  pass  cap  per all, channel web, 0 of 3\n", "token T0\n")
	if last.method != "POST" || last.path != "/v1/decide" || last.query != "explain=1" || last.header.Get("Content-Type") != "application/json" {
		t.Errorf("asked %+v", last)
	}
	if strings.Contains(last.path+last.query, "secret") {
		t.Error("the identifier is in the URL")
	}
	inProcess(t, nil, "", "decide", "--addr", addr, "--user", "u", "--campaign", "c", "--json").must(t, 0, decided)
}

func TestDecideBody(t *testing.T) {
	for args, want := range map[string]string{
		"": `{"user":{"id":"U"},"candidates":[{"campaign":"C"}]}`,
		"--source ifa --country DEU --channel ctv": `{"user":{},"device":{"ifa":"U","geo":{"country":"DEU"}},"channel":"ctv","candidates":[{"campaign":"C"}]}`,
		"--source buyeruid --consent CP":           `{"user":{"buyeruid":"U","consent":"CP"},"candidates":[{"campaign":"C"}]}`,
		"--source uidapi.com --want 2 --hold":      `{"user":{"eids":[{"source":"uidapi.com","uids":[{"id":"U"}]}]},"want":2,"hold":true,"candidates":[{"campaign":"C"}]}`,
		"--campaign D --item i --creative c":       `{"user":{"id":"U"},"candidates":[{"campaign":"C","item":"i","creative":"c"},{"campaign":"D","item":"i","creative":"c"}]}`,
		"--category k --interest-at 1800000000":    `{"user":{"id":"U"},"candidates":[{"campaign":"C","category":"k","interest_at":1800000000,"interest_count":1}]}`,
		"--interest-at 2027-01-15T09:00:00+01:00":  `{"user":{"id":"U"},"candidates":[{"campaign":"C","interest_at":1800000000,"interest_count":1}]}`,
		"--campaign a,b":                           `{"user":{"id":"U"},"candidates":[{"campaign":"C"},{"campaign":"a,b"}]}`,
	} {
		addr, last := fakeNode(t, 200, "application/json", `{}`)
		base := []string{"decide", "--addr", addr, "--user", "U", "--campaign", "C"}
		inProcess(t, nil, "", append(base, strings.Fields(args)...)...).must(t, 0)
		var got, wanted any
		if err := json.Unmarshal([]byte(last.body), &got); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(want), &wanted); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, wanted) {
			t.Errorf("%s: body\n%s, want\n%s", args, last.body, want)
		}
	}
	for args, want := range map[string]string{
		"--hold": "--want", "--want 33": "--want 33", "--want=-1": "--want -1", "--interest-at x": `"x" is not a time`,
	} {
		base := []string{"decide", "--addr", "127.0.0.1:1", "--user", "U", "--campaign", "C"}
		inProcess(t, nil, "", append(base, strings.Fields(args)...)...).must(t, 2, want)
	}
}

func TestPolicyCommands(t *testing.T) {
	text := "campaigns:\n  a: {advertiser: x}\n"
	file := writeFile(t, "p.yaml", text)
	jsonFile := writeFile(t, "p.json", "{}")
	const changed = `{"version":13,"changes":[{"key":"campaigns.a","was":"","is":"x"}]}`
	for _, c := range []struct {
		args, answer, method, path, query, kind, body string
		wants                                         []string
	}{
		{"show", text, "GET", "/v1/policy", "", "", "", []string{text}},
		{"show --number 3", text, "GET", "/v1/policy", "version=3", "", "", []string{text}},
		{"put " + file, changed, "PUT", "/v1/policy", "", "application/yaml", text, []string{"version: 13\n", "changes:\n", "key: campaigns.a\n"}},
		{"put --dry-run --pilot 10 " + jsonFile, changed, "PUT", "/v1/policy", "dry_run=1&pilot=10", "application/json", "{}", nil},
		{
			"history", `{"versions":[{"version":2,"at":"2027-01-15T08:00:00Z","from":"api","sha256":"0123456789abcdef0123"},{"version":1}]}`, "GET", "/v1/policy/history", "", "", "",
			[]string{"VERSION  SINCE                 FOR        FROM  SHA-256\n", "2        2027-01-15T08:00:00Z  everybody  api   0123456789abcdef\n"},
		},
		{
			"history", `{"versions":[{"version":3,"at":"2027-01-15T08:00:00Z","from":"api","sha256":"01","pilot":{"percent":10,"before":2}}]}`, "GET", "/v1/policy/history", "", "", "",
			[]string{"3        2027-01-15T08:00:00Z  10 % of people  api   01\n"},
		},
		{"rollback", changed, "POST", "/v1/policy/rollback", "", "", "", []string{"version: 13"}},
		{"rollback --number 3 --dry-run", changed, "POST", "/v1/policy/rollback", "dry_run=1&version=3", "", "", nil},
		{"diff " + file, text, "GET", "/v1/policy", "", "", "", []string{"no difference\n"}},
		{"diff " + file, "campaigns:\n  b: {}\n", "GET", "/v1/policy", "", "", "", []string{"@@ line 1 @@\n campaigns:\n-  b: {}\n+  a: {advertiser: x}\n"}},
	} {
		addr, last := fakeNode(t, 200, "application/json", c.answer)
		args := append([]string{"policy"}, strings.Fields(c.args)...)
		inProcess(t, nil, "", append(args, "--addr", addr)...).must(t, 0, c.wants...)
		if last.method != c.method || last.path != c.path || last.query != c.query || last.header.Get("Content-Type") != c.kind || last.body != c.body {
			t.Errorf("%s: asked %+v", c.args, last)
		}
	}
	addr, last := fakeNode(t, 200, "application/json", changed)
	inProcess(t, nil, text, "policy", "put", "--addr", addr, "-").must(t, 0)
	if last.body != text {
		t.Errorf("from stdin: %q", last.body)
	}
	inProcess(t, nil, "", "policy", "put", "--addr", addr, "-").must(t, 2, "the file is empty")
	inProcess(t, nil, "", "policy", "put", "--addr", addr, "--pilot", "101", file).must(t, 2, "--pilot 101")
	inProcess(t, nil, "", "policy", "rollback", "--addr", addr, "--number=-1").must(t, 2, "--number -1")
	inProcess(t, nil, "", "policy", "put", "--addr", addr, file+".not").must(t, 2, "no such file")
	inProcess(t, nil, "", "policy", "put", "--addr", addr, t.TempDir()).must(t, 2, "it is a folder")
	addr, _ = fakeNode(t, 400, problemJSON, `{"title":"Bad Request","errors":[{"field":"campaigns","detail":"d","line":3}]}`)
	inProcess(t, nil, "", "policy", "put", "--addr", addr, file).must(t, 2, "line 3: campaigns: d")
	addr, _ = fakeNode(t, 503, problemJSON, `{"title":"Service Unavailable"}`)
	inProcess(t, nil, "", "policy", "put", "--addr", addr, file).must(t, 1, "503")
}

func TestDiff(t *testing.T) {
	split := func(s string) []string { return strings.Split(s, "") }
	for _, c := range []struct{ a, b, want string }{
		{"abc", "abc", " a b c"},
		{"abcdefgh", "abcdXfgh", "@@ line 2 @@ b c d-e+X f g h"},
		{"abc", "xabc", "@@ line 1 @@+x a b c"},
		{"abc", "abcx", "@@ line 1 @@ a b c+x"},
		{"abcdefghijklmnop", "Xbcdefghijklmnop", "@@ line 1 @@-a+X b c d"},
		{"abcdefghijklmnop", "Xbcdefghijklmnoq", "@@ line 1 @@-a+X b c d@@ line 13 @@ m n o-p+q"},
		{"abcdef", "XbcdeY", "@@ line 1 @@-a+X b c d e-f+Y"},
	} {
		var out strings.Builder
		if err := printDiff(&out, split(c.a), split(c.b)); err != nil {
			t.Fatal(err)
		}
		if got := strings.ReplaceAll(out.String(), "\n", ""); c.a != c.b && got != c.want {
			t.Errorf("%s to %s:\n%q, want\n%q", c.a, c.b, got, c.want)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Chdir(t.TempDir())
	inProcess(t, nil, "", "check").must(t, 0, "defaults", "built-in example")
	inProcess(t, nil, "", "check", "--people").must(t, 0, "CAMPAIGN", "HOUR", "DAY", "WEEK", "LIFE")
	bad := writeFile(t, "bad.yaml", "campaigns:\n  a: {purpose: nothing, limits: 1}\n")
	config := writeFile(t, "restraint.yaml", "lisen: x\npolicy: "+bad+"\n")
	// Every fault of both files.
	inProcess(t, nil, "", "check", "--config", config).must(t, 2, config+":1: lisen", bad+":2: campaigns.a.purpose", bad+":2: campaigns.a.limits")
	inProcess(t, nil, "", "check", "--policy", bad).must(t, 2, bad+":2: campaigns.a.purpose")
	inProcess(t, nil, "", "check", "--policy", bad+".not").must(t, 2, "no such file")
	inProcess(t, nil, "", "check", "--policy", t.TempDir()).must(t, 2, "it is a folder")
	// What is no fault is said after.
	inProcess(t, nil, "", "check", "--policy", writeFile(t, "notes.yaml", `markets: [{name: de, require: tcf, retention: {exposures: 30d}}]
campaigns: {a: {advertiser: b, caps: [{per: campaign, limit: 1, within: 31d}]}}`)).
		must(t, 0, "without fault\n", "note: campaigns.a.caps[0]: 1 per campaign within 31d looks further back than is kept of what is shown in de (30d, also where no country is said)")
	// What serve refuses, check refuses too.
	config = writeFile(t, "restraint.yaml", "node: n\ntls: {cert: a, key: b}\n")
	inProcess(t, nil, "", "check", "--config", config).must(t, 2, `tls.cert "a", tls.key "b": open a: no such file or directory: give a certificate and its key as PEM files`)
	config = writeFile(t, "restraint.yaml", "node: n\nkeys_file: no-such-keys\n")
	inProcess(t, nil, "", "check", "--config", config).must(t, 2, `there is no file of keys "no-such-keys"`, "restraint keys new --keys-file no-such-keys")
	keys := writeFile(t, "keys", "restraint-keys 1\nid=x\n")
	inProcess(t, nil, "", "check", "--keys-file", keys, "--policy", bad).
		must(t, 2, keys+`:2: id: "x" is no id`, keys+":2: the file is cut off", bad+":2: campaigns.a.purpose")
	inProcess(t, nil, "", "check", "--policy", writeFile(t, "list.yaml", "lists: {a/b: {id: [a], source: first_party, basis: b}}\ncampaigns: {}\n")).
		must(t, 2, "list.yaml:1: lists.\"a/b\"")
	if err := os.WriteFile("policy.yaml", []byte("no_id: maybe\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	inProcess(t, nil, "", "check").must(t, 2, "./policy.yaml:1: no_id")
}

func TestText(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1234567: "-1,234,567", 100000: "100,000"} {
		if got := grouped(n); got != want {
			t.Errorf("grouped(%d) = %q", n, got)
		}
	}
	for rate, want := range map[float64]string{0: "none", 0.0001: "1 in 10,000", 0.3: "1 in 3"} {
		if got := roughRate(rate); got != want {
			t.Errorf("roughRate(%g) = %q", rate, got)
		}
	}
	var out strings.Builder
	for _, body := range []string{"not json\n", "", `"text"`, `{"b":1,"a":["x",{"c":null}]}`} {
		if err := printAnswer(&out, []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	if want := "not json\ntext\nb: 1\na:\n    - x\n    - c: null\n"; out.String() != want {
		t.Errorf("printed %q, want %q", out.String(), want)
	}
}
