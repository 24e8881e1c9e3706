package edge_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"restraint/edge"
	"restraint/edge/identity"
	"restraint/edge/policy"
)

// TestScenarios plays every scenario twice, to a node of its own each time: decisions
// and events in process, and over HTTP to a listener. What is answered is the same, to
// the byte but for tokens and receipts.
func TestScenarios(t *testing.T) {
	for file, s := range scenarioFiles(t) {
		t.Run(strings.TrimSuffix(file, ".json"), func(t *testing.T) {
			t.Parallel()
			for i := range s.Steps {
				if s.Steps[i].File == "" {
					continue
				}
				if _, err := os.Stat(realRequests); err != nil {
					t.Skipf("no bid requests in %s", realRequests)
				}
			}
			var inProcess, overHTTP *played
			t.Run("in process", func(t *testing.T) { inProcess = play(t, s, true) })
			t.Run("over HTTP", func(t *testing.T) { overHTTP = play(t, s, false) })
			if t.Failed() || inProcess == nil || overHTTP == nil { // or but one was asked for with -run
				return
			}
			for i := range inProcess.answers {
				if inProcess.answers[i] != overHTTP.answers[i] {
					t.Errorf("step %d (%s): answered in process\n%s\nover HTTP\n%s", i, s.Steps[i].Note, inProcess.answers[i], overHTTP.answers[i])
				}
			}
		})
	}
}

// played is a scenario under way on a node.
type played struct {
	t         *testing.T
	n         *node
	inProcess bool
	policy    string
	tried     string            // of a pilot
	body, dst []byte            // used again for each request, and overwritten in between
	tokens    map[string]string // by the name under which they are kept
	secrets   []string          // tokens and receipts, which are other ones each time
	answers   []string          // by step, without them; "" where an answer tells the time
	said      bytes.Buffer      // all that was answered
}

func play(t *testing.T, s *scenario, inProcess bool) *played {
	text := strings.Join(s.Policy, "\n")
	if s.Builtin {
		text = string(policy.Example)
	}
	dir, change, closed := t.TempDir(), requestClock, func() {}
	if len(s.Nowhere) > 0 {
		change, closed = withKeeper(t, dir)
	}
	p := &played{t: t, inProcess: inProcess, policy: text, tokens: map[string]string{}}
	p.n = startNode(t, dir, text, func(o *edge.Options) {
		o.Secret = scenarioSecret(t)
		change(o)
	})
	p.n.t = t
	for name, csv := range s.Lists {
		columns := strings.Split(csv[0], ",")
		path := "/v1/lists/" + name + "?map=" + columns[0] + ":user.id"
		if len(columns) > 1 {
			path += "&item_column=" + columns[1]
		}
		p.ask(201, "PUT", path, "text/csv", strings.Join(csv, "\n"))
	}
	for i := range s.Steps {
		p.step(&s.Steps[i], s.Start+s.Steps[i].At, fmt.Sprintf("step %d (%s)", i, s.Steps[i].Note))
		if t.Failed() {
			break
		}
	}
	if len(s.Nowhere) > 0 {
		for _, path := range []string{"/v1/status", "/v1/lists", "/v1/policy", "/metrics", "/readyz"} {
			p.ask(200, "GET", path, "", "")
		}
		p.n.stop()
		closed()
		p.n.searched(t, s.Nowhere, p.said.Bytes())
	}
	return p
}

// ask sends a request to the admin listener.
func (p *played) ask(status int, method, path, contentType, body string) []byte {
	p.t.Helper()
	got, answer := p.n.do(method, path, contentType, body)
	p.said.Write(answer)
	if got != status {
		p.t.Fatalf("%s %s: %d, want %d\n%.2000s\n%.2000s", method, path, got, status, body, answer)
	}
	return answer
}

// send decides or reports, in process or over HTTP, and returns the answer, or of a
// problem what it says.
func (p *played) send(explained bool, request string) (answer []byte, refused *problem) {
	p.t.Helper()
	path := "/v1/events"
	if explained {
		path = "/v1/decide?explain=1"
	}
	if !p.inProcess {
		resp, body := p.n.exchange(p.t, p.n.bid, "POST", path, http.Header{"Content-Type": {"application/json"}}, request)
		answer, refused = body, &problem{Status: resp.StatusCode}
		if resp.StatusCode == 200 || resp.StatusCode == 202 {
			refused = nil
		}
	} else {
		var err error
		p.body = append(p.body[:0], request...)
		if explained {
			p.dst, err = p.n.running.AppendDecide(p.dst[:0], p.body, true)
		} else {
			p.dst, err = p.n.running.AppendEvents(p.dst[:0], p.body)
		}
		answer = bytes.Clone(p.dst)
		var r *edge.RequestError
		if errors.As(err, &r) {
			answer, refused = r.AppendJSON(nil), &problem{Status: r.Status}
		} else if err != nil {
			p.t.Fatalf("an error that is no RequestError: %v", err)
		}
		for i := range p.body {
			p.body[i] = 'x'
		}
		for i := range p.dst {
			p.dst[i] = 'x'
		}
	}
	p.said.Write(answer)
	if refused != nil {
		if err := json.Unmarshal(answer, refused); err != nil {
			p.t.Fatalf("%v: %s", err, answer)
		}
	}
	return answer, refused
}

// note keeps an answer for the comparison.
func (p *played) note(answer []byte) {
	text := string(answer)
	for _, secret := range p.secrets {
		text = strings.ReplaceAll(text, secret, "SECRET")
	}
	p.answers = append(p.answers, text)
}

func (p *played) token(name string) string {
	token, ok := p.tokens[strings.TrimPrefix(name, "$")]
	if !ok {
		p.t.Fatalf("no token is kept as %q", name)
	}
	return token
}

func (p *played) step(s *step, at int64, where string) {
	switch {
	case s.Event != nil:
		p.event(s, at, where)
	case s.Decide != nil:
		p.decide(s, at, where)
	case s.Put != nil:
		p.put(s, where)
	case s.End != "":
		answer := p.ask(200, "POST", "/v1/policy/pilot?end="+s.End, "", "")
		p.note(answer)
		if s.End == "promote" {
			p.policy = p.tried
		}
		if got := p.ask(200, "GET", "/v1/policy", "", ""); string(got) != p.policy {
			p.t.Errorf("%s: in force is\n%s\nwant\n%s", where, got, p.policy)
		}
	case s.Prefer != nil, s.LookUp != nil, s.Erase != nil:
		p.person(s, at, where)
	case s.Why != nil, s.Press != nil:
		p.page(s, where)
	case s.People != nil:
		p.people(s, at, where)
	case s.Release != nil:
		answer := p.n.release(url.PathEscape(s.Release.Campaign), s.Release.Why)
		p.said.Write(answer)
		p.matches(s, where, answer, string(answer))
		p.note(answer)
	default:
		answer := p.ask(200, "GET", s.Get, "", "")
		p.matches(s, where, answer, string(answer))
		p.note(nil) // most such answers tell the time
	}
}

// scenarioSecret is the same for both nodes of a scenario, so that they give the same
// tags.
func scenarioSecret(t *testing.T) identity.Secret {
	t.Helper()
	secret, err := identity.ParseSecret([]byte("scenarios are told with one key."))
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

// with is a request of a step, told at a time.
func with(request map[string]any, at int64) map[string]any {
	told := maps.Clone(request)
	told["at"] = at
	return told
}

func (p *played) event(s *step, at int64, where string) {
	told := with(s.Event, at)
	if name, ok := told["token"].(string); ok {
		told["token"] = p.token(name)
	}
	answer, refused := p.send(false, encode(p.t, told))
	p.note(answer)
	if p.refused(s, where, refused) {
		return
	}
	if string(answer) != `{"accepted":1,"rejected":[]}`+"\n" {
		p.t.Errorf("%s: %s", where, answer)
	}
}

func (p *played) decide(s *step, at int64, where string) {
	t := p.t
	told := with(s.Decide, at)
	if s.File != "" {
		text, err := os.ReadFile(filepath.Join(realRequests, s.File))
		if err != nil {
			t.Fatal(err)
		}
		var file map[string]any
		if err := json.Unmarshal(text, &file); err != nil {
			t.Fatal(err)
		}
		maps.Copy(file, told)
		told = file
	}
	body, refused := p.send(true, encode(t, told))
	if p.refused(s, where, refused) {
		p.note(body)
		return
	}
	var a answer
	if err := json.Unmarshal(body, &a); err != nil {
		t.Fatalf("%s: %v\n%s", where, err, body)
	}
	if a.Token != "" {
		p.secrets = append(p.secrets, a.Token)
	}
	if s.Keep != "" {
		p.tokens[s.Keep] = a.Token
	}
	p.note(body)
	compare(t, where, a.Decisions, s.Want)
}

// refused compares the faults that a request was refused for with those stated; false
// when it was answered, and should be.
func (p *played) refused(s *step, where string, refused *problem) bool {
	var got []string
	if refused != nil {
		for _, e := range refused.Errors {
			got = append(got, e.Field+": "+e.Detail)
		}
		if got == nil {
			got = []string{refused.Detail}
		}
	}
	if !slices.EqualFunc(got, s.Faults, func(got, want string) bool {
		begins, cut := strings.CutSuffix(want, "…")
		return got == want || cut && strings.HasPrefix(got, begins)
	}) {
		p.t.Fatalf("%s: refused with %q, want %q", where, got, s.Faults)
	}
	return refused != nil
}

// put puts a policy; one that is refused leaves the policy in force.
func (p *played) put(s *step, where string) {
	text := strings.Join(s.Put, "\n")
	path := "/v1/policy"
	if s.Pilot != 0 {
		path += fmt.Sprintf("?pilot=%d", s.Pilot)
	}
	status, answer := p.n.do("PUT", path, "application/yaml", text)
	p.said.Write(answer)
	if s.Pilot == 0 {
		p.note(answer)
	} else {
		p.note(nil) // it tells the time
	}
	var refused *problem
	if status != 200 {
		refused = new(problem)
		if err := json.Unmarshal(answer, refused); err != nil || status != 400 {
			p.t.Fatalf("%s: %d %v %s", where, status, err, answer)
		}
	}
	switch {
	case p.refused(s, where, refused):
	case s.Pilot != 0:
		p.tried = text
	default:
		p.policy = text
	}
	if got := p.ask(200, "GET", "/v1/policy", "", ""); string(got) != p.policy {
		p.t.Errorf("%s: in force is\n%s\nwant\n%s", where, got, p.policy)
	}
}

var (
	pageStyles = regexp.MustCompile(`(?s)<style>.*?</style>`)
	pageTags   = regexp.MustCompile(`<[^>]*>`)
)

// page opens the page behind a token, or presses one of its buttons, as a browser.
func (p *played) page(s *step, where string) {
	link, method, path := s.Why, "GET", "/v1/why"
	if s.Press != nil {
		link, method, path = s.Press, "POST", "/v1/"+s.Press.Button
	}
	target := path + "?t=" + p.token(link.Token)
	if link.Button != "opt-out" {
		target += "&campaign=" + url.QueryEscape(link.Campaign)
	}
	header := http.Header{"Accept": {"text/html"}}
	if method == "POST" {
		header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, source := p.n.exchange(p.t, p.n.bid, method, target, header, "")
	p.said.Write(source)
	if resp.StatusCode != 200 {
		p.t.Fatalf("%s: %d\n%s", where, resp.StatusCode, source)
	}
	p.note(source)
	read := pageTags.ReplaceAllString(pageStyles.ReplaceAllString(string(source), ""), "")
	p.matches(s, where, source, strings.Join(strings.Fields(html.UnescapeString(read)), " "))
}
