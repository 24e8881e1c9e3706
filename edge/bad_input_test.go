package edge_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// problem is what every refusal answers.
type problem struct {
	Type, Title, Detail, Mend string
	Status                    int
	Errors                    []struct{ Field, Detail string }
}

// refused sends a request that must be refused with the status and words.
func (n *node) refused(t *testing.T, status int, method, path, contentType, body string, words ...string) {
	t.Helper()
	got, answer := n.do(method, path, contentType, body)
	var p problem
	if err := json.Unmarshal(answer, &p); err != nil || got != status || p.Status != status || p.Title == "" || p.Type == "" {
		t.Errorf("%s %s %.80q: %d %s; want a problem with status %d", method, path, body, got, answer, status)
		return
	}
	said := string(answer)
	for _, w := range words {
		if !strings.Contains(said, w) {
			t.Errorf("%s %s %.80q says nothing of %q: %s", method, path, body, w, said)
		}
	}
}

func candidates(n int) string {
	return `{"user":{"id":"u-1"},"candidates":[` + strings.TrimSuffix(strings.Repeat(`{"campaign":"shoes"},`, n), ",") + `]}`
}

// Every wrong decide request is refused with a problem that names the value, and
// changes nothing.
func TestWrongDecideRequests(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	candidate := func(c string) string { return `{"user":{"id":"u-1"},"candidates":[` + c + `]}` }
	for name, c := range map[string]struct {
		body   string
		status int
		words  []string
	}{
		"broken JSON":              {`{"user":{"id":"u-1"},"candidates":[{"campaign":"shoes"}`, 400, []string{"body", "byte"}},
		"empty body":               {``, 400, []string{"body"}},
		"not an object":            {`[1,2]`, 400, []string{"body"}},
		"two objects":              {candidates(1) + candidates(1), 400, []string{"body"}},
		"501 candidates":           {candidates(501), 400, []string{"candidates", "500"}},
		"no candidates":            {candidates(0), 400, []string{"candidates"}},
		"candidates missing":       {`{"user":{"id":"u-1"}}`, 400, []string{"candidates"}},
		"campaign of 129 bytes":    {candidate(`{"campaign":"` + strings.Repeat("c", 129) + `"}`), 400, []string{"candidates[0].campaign", "129", "128"}},
		"campaign missing":         {candidate(`{"creative":"a"}`), 400, []string{"candidates[0].campaign", "required"}},
		"NUL in campaign":          {candidate(`{"campaign":"a\u0000b"}`), 400, []string{"candidates[0].campaign", "NUL"}},
		"invalid UTF-8":            {candidate("{\"campaign\":\"a\xffb\"}"), 400, []string{"UTF-8"}},
		"number for a string":      {candidate(`{"campaign":7}`), 400, []string{"candidates[0].campaign", "7"}},
		"number for user.id":       {`{"user":{"id":7},"candidates":[{"campaign":"shoes"}]}`, 400, []string{"user.id"}},
		"string for want":          {`{"want":"1","user":{"id":"u-1"},"candidates":[{"campaign":"shoes"}]}`, 400, []string{"want"}},
		"want of 33":               {`{"want":33,"user":{"id":"u-1"},"candidates":[{"campaign":"shoes"}]}`, 400, []string{"want", "32"}},
		"hold without want":        {`{"hold":true,"user":{"id":"u-1"},"candidates":[{"campaign":"shoes"}]}`, 400, []string{"hold", "want"}},
		"token without want":       {`{"token":true,"user":{"id":"u-1"},"candidates":[{"campaign":"shoes"}]}`, 400, []string{"token", "want"}},
		"nested 10,000 deep":       {`{"x":` + strings.Repeat("[", 10000) + strings.Repeat("]", 10000) + `,"candidates":[{"campaign":"shoes"}]}`, 400, []string{"body"}},
		"identifier of 1025":       {`{"user":{"id":"` + strings.Repeat("u", 1025) + `"},"candidates":[{"campaign":"shoes"}]}`, 400, []string{"user.id", "1025"}},
		"body over the limit":      {`{"x":"` + strings.Repeat("x", 256<<10) + `","candidates":[{"campaign":"shoes"}]}`, 413, []string{"262144"}},
		"several faults at once":   {candidate(`{"campaign":7},{"campaign":""}`), 400, []string{"candidates[0].campaign", "candidates[1].campaign"}},
		"candidates in two places": {`{"ext":{"candidates":[{"campaign":"shoes"}]},"candidates":[{"campaign":"shoes"}]}`, 400, []string{"candidates"}},
	} {
		t.Run(name, func(t *testing.T) {
			n.refused(t, c.status, "POST", "/v1/decide", "application/json", c.body, c.words...)
		})
	}
	for name, c := range map[string]struct {
		query string
		words []string
	}{
		"no campaign":   {"user=u-1", []string{"campaign", "required"}},
		"want of words": {"user=u-1&campaign=shoes&want=two", []string{"want"}},
		"two users":     {"user=u-1&user=u-2&campaign=shoes", []string{"user", "more than once"}},
	} {
		t.Run("GET "+name, func(t *testing.T) { n.refused(t, 400, "GET", "/v1/decide?"+c.query, "", "", c.words...) })
	}
	n.refused(t, 404, "GET", "/v1/decides", "", "", "/v1/decides")
	n.refused(t, 405, "DELETE", "/v1/decide", "", "", "DELETE", "POST")
	n.refused(t, 415, "POST", "/v1/decide", "application/xml", candidates(1), "application/xml")
	var a answer
	n.must(200, "POST", "/v1/decide", "application/json", candidates(500), &a)
	if len(a.Decisions) != 500 || !a.Decisions[499].Show {
		t.Errorf("500 candidates: %d decisions", len(a.Decisions))
	}
}

// Every wrong event is refused, alone with a problem, in a batch by its line while
// the good ones count.
func TestWrongEvents(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	var shown answer
	n.must(200, "POST", "/v1/decide", "application/json",
		`{"user":{"id":"u-1"},"want":1,"token":true,"candidates":[{"campaign":"shoes","creative":"a"}]}`, &shown)
	forged := []byte(shown.Token)
	forged[len(forged)/2] ^= 1
	foreign := startNode(t, "", testPolicy, nil)
	var other answer
	foreign.must(200, "POST", "/v1/decide", "application/json", `{"user":{"id":"u-1"},"want":1,"token":true,"candidates":[{"campaign":"shoes"}]}`, &other)

	impression := func(token, campaign string) string {
		return fmt.Sprintf(`{"type":"impression","token":%q,"campaign":%q}`, token, campaign)
	}
	wrong := map[string]struct {
		line  string
		words string
	}{
		"broken":               {`{"type":"impression"`, "body"},
		"unknown type":         {`{"type":"glance","user":{"id":"u-1"},"campaign":"shoes"}`, "type"},
		"nobody":               {`{"type":"impression","campaign":"shoes"}`, "user"},
		"no campaign":          {`{"type":"impression","user":{"id":"u-1"}}`, "campaign"},
		"forged token":         {impression(string(forged), "shoes"), "token"},
		"truncated token":      {impression(shown.Token[:len(shown.Token)-7], "shoes"), "token"},
		"foreign token":        {impression(other.Token, "shoes"), "token"},
		"campaign not named":   {impression(shown.Token, "single"), "does not name"},
		"from the future":      {`{"type":"impression","user":{"id":"u-1"},"campaign":"shoes","at":4000000000}`, "ahead"},
		"why of no kind":       {`{"type":"hide","user":{"id":"u-1"},"campaign":"shoes","why":"bored"}`, "why"},
		"purchase of nobody's": {`{"type":"purchase","user":{"id":"u-1"},"item":"sku-1"}`, "advertiser"},
		"release of nothing":   {`{"type":"release","user":{"id":"u-1"}}`, "token"},
	}
	good := `{"type":"impression","user":{"id":"u-2"},"campaign":"shoes","id":"g-%d"}` + "\n"
	var batch strings.Builder
	lines := 0
	for name, w := range wrong {
		t.Run(name, func(t *testing.T) { n.refused(t, 400, "POST", "/v1/events", "application/json", w.line, w.words) })
		fmt.Fprintf(&batch, good, lines)
		batch.WriteString(w.line + "\n")
		lines += 2
	}
	var a struct {
		Accepted int
		Rejected []struct {
			Line   int
			Detail string
		}
	}
	n.must(202, "POST", "/v1/events", "application/x-ndjson", batch.String(), &a)
	if a.Accepted != len(wrong) || len(a.Rejected) != len(wrong) || a.Rejected[0].Line != 2 || a.Rejected[0].Detail == "" {
		t.Errorf("batch: %+v", a)
	}
	n.refused(t, 400, "POST", "/v1/events", "application/x-ndjson", strings.Repeat(`{"type":"click","user":{"id":"u"},"campaign":"c"}`+"\n", 10001), "10000")
	n.refused(t, 413, "POST", "/v1/events", "application/x-ndjson", strings.Repeat(" ", 8<<20+1), "8388608")
	n.refused(t, 400, "POST", "/v1/events", "application/x-ndjson", "\n\n", "no event")
	n.refused(t, 400, "GET", "/v1/impression?campaign=shoes", "", "", "t:")
	n.refused(t, 400, "GET", "/v1/impression?t="+shown.Token, "", "", "campaign")
	n.refused(t, 400, "GET", "/v1/impression?t="+string(forged)+"&campaign=shoes", "", "", "token")
	n.refused(t, 400, "GET", "/v1/impression?t="+shown.Token+"&campaign=single", "", "", "does not name")
	n.refused(t, 400, "GET", "/v1/release?t=x", "", "", "token")
	// Nothing of all this counted for u-1.
	d := n.decide(`{"user":{"id":"u-1"},"candidates":[{"campaign":"shoes"}]}`)
	if count := d.Decisions[0].Checks[4]["count"]; count != 0.0 {
		t.Errorf("wrong events counted: %v", d.Decisions[0].Checks)
	}
}

// A wrong upload is refused whole, and the list stays as it was.
func TestWrongUploads(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	n.must(201, "PUT", "/v1/lists/customers?map=Customer:user.id", "text/csv", "Customer\nu-1\n", nil)
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	fmt.Fprint(w, "Customer\n"+strings.Repeat("u-2\n", 10000))
	w.Close()

	n.refused(t, 404, "PUT", "/v1/lists/strangers?map=a:user.id", "text/csv", "a\nb\n", "strangers", "lists:")
	n.refused(t, 400, "PUT", "/v1/lists/customers?map=Email:user.id", "text/csv", "Customer\nu-2\n", "Email", "Customer")
	n.refused(t, 400, "PUT", "/v1/lists/customers?map=Customer:ifa", "text/csv", "Customer\nu-2\n", "ifa")
	n.refused(t, 400, "PUT", "/v1/lists/customers?map=Customer", "text/csv", "Customer\nu-2\n", "map=COLUMN:SOURCE")
	n.refused(t, 400, "PUT", "/v1/lists/customers?mapp=a:b", "text/csv", "Customer\nu-2\n", "mapp")
	n.refused(t, 415, "PUT", "/v1/lists/customers", "application/pdf", "x", "application/pdf")
	n.refused(t, 405, "POST", "/v1/lists/customers", "text/csv", "x", "PUT")
	n.refused(t, 422, "PUT", "/v1/lists/customers?map=Customer:email_sha256", "text/csv", "Customer\nnot-a-hash\n", "line")
	for _, cut := range []int{1, packed.Len() / 2, packed.Len() - 1} {
		status, answer := n.send(t, "PUT", "/v1/lists/customers?map=Customer:user.id", packed.Bytes()[:cut], map[string]string{
			"Content-Type": "text/csv", "Content-Encoding": "gzip",
		})
		if status != 400 || !strings.Contains(string(answer), "early") {
			t.Errorf("gzip cut at %d: %d %s", cut, status, answer)
		}
	}
	for user, show := range map[string]bool{"u-1": false, "u-2": true} {
		d := n.decide(`{"user":{"id":"` + user + `"},"candidates":[{"campaign":"welcome"}]}`)
		if d.Decisions[0].Show != show {
			t.Errorf("%s after refused uploads: %+v", user, d.Decisions[0])
		}
	}
}

func (n *node) send(t *testing.T, method, path string, body []byte, headers map[string]string) (int, []byte) {
	t.Helper()
	req, err := http.NewRequest(method, n.url+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range headers {
		req.Header.Set(k, v)
	}
	return n.roundTrip(t, req)
}

// A faulty policy is refused whole, every fault named; the one in force stays.
func TestWrongPolicy(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	n.refused(t, 400, "PUT", "/v1/policy", "application/yaml", "markets: [{name: all, require: none}]\ncampaigns:\n  a: {advertiser: x, caps: [{per: campaign, limit: 0, within: 24h}]}\n  b: {advertisre: x}\n",
		"campaigns.a.caps[0].limit", "advertisre")
	n.refused(t, 400, "PUT", "/v1/policy", "application/yaml", "", "empty")
	n.refused(t, 400, "PUT", "/v1/policy", "application/yaml", "{", "line")
	var s struct{ Policy int }
	n.must(200, "GET", "/v1/status", "", "", &s)
	if s.Policy != 1 {
		t.Errorf("policy version %d after refused policies", s.Policy)
	}
}
