package edge_test

import (
	"encoding/json"
	"strings"

	"restraint/edge/identity"
	"restraint/edge/policy"
)

// people compares what check --people prints of the policy in force.
func (p *played) people(s *step, at int64, where string) {
	source, err := policy.Parse([]byte(p.policy), "policy")
	if err != nil {
		p.t.Fatal(err)
	}
	var b strings.Builder
	compiled := policy.Compile(source, policy.Options{Tagger: identity.NewTags(scenarioSecret(p.t)).Tag, Version: 1, Now: uint32(at)})
	if err := policy.WritePeople(&b, compiled.People()); err != nil {
		p.t.Fatal(err)
	}
	if want := strings.Join(s.People, "\n") + "\n"; b.String() != want {
		p.t.Errorf("%s: printed\n%s\nwant\n%s", where, b.String(), want)
	}
	p.note(nil)
}

// person asks one of the paths of people.
func (p *played) person(s *step, at int64, where string) {
	path, request := "preferences", s.Prefer
	switch {
	case s.LookUp != nil:
		path, request = "lookup", s.LookUp
	case s.Erase != nil:
		path, request = "erase", s.Erase
	}
	answer := p.ask(200, "POST", "/v1/users/"+path, "application/json", encode(p.t, with(request, at)))
	var e erasure
	if s.Erase != nil {
		if err := json.Unmarshal(answer, &e); err != nil || e.Receipt == "" {
			p.t.Fatalf("%s: no receipt: %v %s", where, err, answer)
		}
		p.secrets = append(p.secrets, e.Receipt)
	}
	p.note(answer)
	p.matches(s, where, answer, string(answer))
	if s.Receipt != nil {
		status := p.ask(200, "GET", "/v1/users/erasures/"+e.Receipt, "", "")
		partOf(p.t, where+", receipt", status, s.Receipt)
	}
}
