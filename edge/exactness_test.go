package edge_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
)

// 64 callers at once ask with holds, report and release for the same person, under
// one identifier and under overlapping sets of identifiers. No identifier is ever
// shown more than the limit, and all of it is used in the end.
func TestCapIsExactUnderConcurrency(t *testing.T) {
	const limit, callers, asks = 25, 64, 30
	policy := fmt.Sprintf(`
markets: [{name: everywhere, require: none}]
campaigns:
  shoes: {advertiser: acme, hold: 10m, caps: [{per: campaign, limit: %d, within: 24h}]}
`, limit)
	for name, people := range map[string][][]string{
		"one identifier":   {{"a"}},
		"overlapping sets": {{"a", "b"}, {"b", "c"}, {"c", "a"}, {"a", "b", "c"}, {"b"}},
	} {
		t.Run(name, func(t *testing.T) {
			n := startNode(t, "", policy, nil)
			transport := &http.Transport{MaxIdleConnsPerHost: callers}
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport}
			var mu sync.Mutex
			shown := map[string]int{}
			var wg sync.WaitGroup
			for caller := range callers {
				wg.Go(func() {
					random := rand.New(rand.NewPCG(uint64(caller), 1))
					for i := range asks {
						who := people[random.IntN(len(people))]
						token := askToShow(t, client, n.bid, who)
						if token == "" {
							continue
						}
						// A third of the auctions is lost; the last asks all win.
						if i < asks*2/3 && random.IntN(3) == 0 {
							report(t, client, n.bid, fmt.Sprintf(`{"type":"release","token":%q}`, token))
							continue
						}
						report(t, client, n.bid, fmt.Sprintf(`{"type":"impression","token":%q,"campaign":"shoes"}`, token))
						mu.Lock()
						for _, id := range who {
							shown[id]++
						}
						mu.Unlock()
					}
				})
			}
			wg.Wait()
			most := 0
			for id, times := range shown {
				if times > limit {
					t.Errorf("%s was shown the campaign %d times; the limit is %d", id, times, limit)
				}
				most = max(most, times)
			}
			if most != limit {
				t.Errorf("nobody was shown the campaign %d times: %v", limit, shown)
			}
		})
	}
}

// askToShow asks with a hold and returns the token of a show, or "".
func askToShow(t *testing.T, client *http.Client, url string, ids []string) string {
	uids := ""
	for i, id := range ids {
		if i > 0 {
			uids += ","
		}
		uids += fmt.Sprintf(`{"id":%q}`, id)
	}
	body := `{"user":{"eids":[{"source":"test.example","uids":[` + uids + `]}]},"want":1,"hold":true,"candidates":[{"campaign":"shoes"}]}`
	resp, err := client.Post(url+"/v1/decide", "application/json", bytes.NewReader([]byte(body)))
	if err != nil {
		t.Error(err)
		return ""
	}
	defer resp.Body.Close()
	var a answer
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil || len(a.Decisions) != 1 {
		t.Errorf("decide: %d, %v", resp.StatusCode, err)
		return ""
	}
	if !a.Decisions[0].Show {
		return ""
	}
	return a.Token
}

func report(t *testing.T, client *http.Client, url, event string) {
	resp, err := client.Post(url+"/v1/events", "application/json", bytes.NewReader([]byte(event)))
	if err != nil {
		t.Error(err)
		return
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != 202 {
		t.Errorf("event: %d %s", resp.StatusCode, body)
	}
}
