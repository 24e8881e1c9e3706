package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// What was answered 202 is there again after kill -9: every impression acknowledged
// is counted once, the one on its way when the process died at most once, and a
// purchase and a hide hold.
func TestKillKeepsEvents(t *testing.T) {
	t.Run("plain", func(t *testing.T) { killRounds(t) })
	t.Run("encrypted", func(t *testing.T) { killRounds(t, "--encrypt-key-file", keyFile(t, 1)) })
}

func killRounds(t *testing.T, args ...string) {
	dir := t.TempDir()
	policy := `
markets: [{name: all, require: none}]
campaigns:
  shoes: {advertiser: acme, caps: [{per: campaign, limit: 255, within: 24h}]}
  boots: {advertiser: acme}
  hats: {advertiser: acme, purchased: {item: 90d}}
`
	if err := os.WriteFile(filepath.Join(dir, "policy.yaml"), []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	acknowledged, sent := 0, 0
	for round := range 4 {
		s := startServed(t, dir, append(args, "--snapshot-every", "1s")...)
		counted := s.counted(t)
		if counted < acknowledged || counted > sent {
			t.Fatalf("round %d: %d counted, %d acknowledged, %d sent", round, counted, acknowledged, sent)
		}
		acknowledged, sent = counted, counted
		if round == 0 {
			s.mustAccept(t, `{"type":"hide","user":{"id":"u-1"},"campaign":"boots"}`)
			s.mustAccept(t, `{"type":"purchase","user":{"id":"u-1"},"advertiser":"acme","item":"hat-1"}`)
		}
		for range 20 + 10*round {
			sent++
			s.mustAccept(t, fmt.Sprintf(`{"type":"impression","user":{"id":"u-1"},"campaign":"shoes","id":"%d"}`, sent))
			acknowledged++
		}
		last := make(chan error)
		sent++
		go func() { // on its way while the process dies
			_, err := s.try("/v1/events", fmt.Sprintf(`{"type":"impression","user":{"id":"u-1"},"campaign":"shoes","id":"%d"}`, sent))
			last <- err
		}()
		if err := s.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if <-last == nil {
			acknowledged++
		}
		<-s.exited
	}
	s := startServed(t, dir, args...)
	if counted := s.counted(t); counted < acknowledged || counted > sent {
		t.Errorf("%d counted, %d acknowledged, %d sent", counted, acknowledged, sent)
	}
	_, body := s.post(t, "/v1/decide", `{"user":{"id":"u-1"},"candidates":[{"campaign":"boots"},{"campaign":"hats","item":"hat-1"}]}`)
	var a struct{ Decisions []struct{ Reason string } }
	if err := json.Unmarshal([]byte(body), &a); err != nil || a.Decisions[0].Reason != "hidden" || a.Decisions[1].Reason != "purchased" {
		t.Errorf("refusals after kill -9: %s", body)
	}
	s.stop(t)
}

// counted is how often u-1 has seen the campaign shoes.
func (s *served) counted(t *testing.T) int {
	t.Helper()
	_, body := s.post(t, "/v1/decide?explain=1", `{"user":{"id":"u-1"},"candidates":[{"campaign":"shoes"}]}`)
	found := regexp.MustCompile(`"limit":255,"count":(\d+)`).FindStringSubmatch(body)
	if found == nil {
		t.Fatalf("no count in %s", body)
	}
	n, err := strconv.Atoi(found[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (s *served) mustAccept(t *testing.T, event string) {
	t.Helper()
	if status, body := s.post(t, "/v1/events", event); status != 202 {
		t.Fatalf("event: %d %s", status, body)
	}
}
