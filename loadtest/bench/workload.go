package main

import (
	"bytes"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"strconv"
	"strings"
)

// The workload is that of the decision's benchmark in edge, over HTTP. Users have 20
// counters each: 10 impressions, each counted under its campaign and its advertiser.
// Half of them are of campaigns that nobody asks for; the others are of 5 of the 14
// advertisers whose campaigns are asked for, so that the advertiser's cap makes 5 of
// 14 verdicts `cap`. Each candidate has three caps, a spacing and the same list.
const (
	advertisers  = 14
	campaigns    = 210 // that are asked for, 15 of each advertiser
	seen         = 5   // impressions of them that a user had, and as many of others
	userCounters = 4 * seen

	// leastCapped is the share of `cap` verdicts below which nothing is measured.
	leastCapped = 0.30
)

const listName = "customers"

// benchPolicy has the campaigns that are asked for and as many that nobody asks for.
func benchPolicy() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "markets: [{name: all, require: none}]\nlists: {%s: {id: [user.id], source: first_party, basis: contract}}\ncampaigns:\n", listName)
	for i := range 2 * campaigns {
		fmt.Fprintf(&b, "  %s: {advertiser: a%d, purpose: acquisition, spacing: 1m, suppress: [%s], caps: ["+
			"{per: campaign, limit: 2, within: 24h}, {per: advertiser, limit: 1, within: 7d}, {per: creative, limit: 1, within: 1h}]}\n",
			campaignName(i), advertiserOf(i), listName)
	}
	return b.Bytes()
}

func campaignName(i int) string { return fmt.Sprintf("campaign-%04d", i) }

func advertiserOf(campaign int) int { return campaign%advertisers + campaign/campaigns*advertisers }

func userName(u int) string { return "u" + strconv.Itoa(u) }

// history is the campaigns a user has seen, in order. It is a function of the user.
func history(user int) [2 * seen]int {
	var h [2 * seen]int
	random := rand.New(rand.NewPCG(1, uint64(user)))
	for i := range h {
		h[i] = (user+i)%advertisers + advertisers*random.IntN(campaigns/advertisers) + i/seen*campaigns
	}
	return h
}

// appendHistory appends a user's impressions, one a line, from an hour to 23 hours
// before now. Sent again they are the same exposures.
func appendHistory(dst []byte, user int, now int64) []byte {
	random := rand.New(rand.NewPCG(2, uint64(user)))
	for i, campaign := range history(user) {
		dst = fmt.Appendf(dst, `{"type":"impression","id":"h-%d-%d","user":{"id":"%s"},"campaign":"%s","at":%d}`+"\n",
			user, i, userName(user), campaignName(campaign), now-3600-int64(random.IntN(79_000)))
	}
	return dst
}

// postRequest is a whole request of the node's bid listener.
func postRequest(path, contentType string, body []byte) []byte {
	head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", path, contentType, len(body))
	return append([]byte(head), body...)
}

// fillPart is the batches of 1,000 that give users from to to-1 their histories.
func fillPart(from, to int, now int64) [][]byte {
	const batch = 1000 / (2 * seen)
	var requests [][]byte
	var body []byte
	for u := from; u < to; u += batch {
		body = body[:0]
		for v := u; v < min(u+batch, to); v++ {
			body = appendHistory(body, v, now)
		}
		requests = append(requests, postRequest("/v1/events", "application/x-ndjson", body))
	}
	return requests
}

// eventRequests are batches of new impressions, each with an id of its own, of random
// users. No batch is like another, whatever run it is of.
func eventRequests(users, batches, batch int, run uint64) [][]byte {
	requests := make([][]byte, batches)
	random := rand.New(rand.NewPCG(3, run))
	var body []byte
	for i := range requests {
		body = body[:0]
		for k := range batch {
			body = fmt.Appendf(body, `{"type":"impression","id":"e-%d-%d-%d","user":{"id":"%s"},"campaign":"%s"}`+"\n",
				run, i, k, userName(random.IntN(users)), campaignName(campaigns+random.IntN(campaigns)))
		}
		requests[i] = postRequest("/v1/events", "application/x-ndjson", body)
	}
	return requests
}

// shape is one kind of decide request.
type shape struct {
	Name       string `json:"name"`
	Candidates int    `json:"candidates"`
	// Items: candidates have an item and a category as well.
	Items bool `json:"items"`
	// Consents is the number of distinct consent strings; 0: none is sent.
	Consents int `json:"consents"`
}

// ask is who is asked about, and for which campaigns.
type ask struct {
	user      int
	campaigns []int
	random    *rand.Rand // for the rest of the request
}

// asks gives n random users and campaigns, the same each time.
func (s shape) asks(users, n int) iter.Seq2[int, ask] {
	return func(yield func(int, ask) bool) {
		for i := range n {
			random := rand.New(rand.NewPCG(uint64(i), uint64(s.Candidates)))
			if !yield(i, ask{random.IntN(users), random.Perm(campaigns)[:s.Candidates], random}) {
				return
			}
		}
	}
}

// decideRequests are n requests of the shape, of random users.
func (s shape) decideRequests(users, n int) [][]byte {
	requests := make([][]byte, n)
	var b strings.Builder
	for i, a := range s.asks(users, n) {
		b.Reset()
		fmt.Fprintf(&b, `{"user":{"id":"%s"`, userName(a.user))
		if s.Consents > 0 {
			fmt.Fprintf(&b, `,"consent":"%s"},"regs":{"gdpr":1`, consentString(i%s.Consents))
		}
		b.WriteString(`},"candidates":[`)
		for c, campaign := range a.campaigns {
			if c > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, `{"campaign":"%s","creative":"creative-%04d-%d"`, campaignName(campaign), campaign, a.random.IntN(4))
			if s.Items {
				fmt.Fprintf(&b, `,"item":"sku-%06d","category":"category-%02d"`, a.random.IntN(1_000_000), a.random.IntN(100))
			}
			b.WriteByte('}')
		}
		b.WriteString("]}")
		requests[i] = postRequest(nodePath, "application/json", []byte(b.String()))
	}
	return requests
}

// members writes the identifiers of a list, one a line, none of them a user's.
func members(n int) io.ReadCloser {
	r, w := io.Pipe()
	go func() {
		chunk := make([]byte, 0, 64<<10)
		for i := range n {
			if chunk = fmt.Appendf(chunk, "m%08d\n", i); len(chunk) > 60<<10 {
				if _, err := w.Write(chunk); err != nil {
					return // nobody reads on
				}
				chunk = chunk[:0]
			}
		}
		_, err := w.Write(chunk)
		w.CloseWithError(err)
	}()
	return r
}
