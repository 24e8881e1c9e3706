package loadtest

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"time"
)

// Chosen: how much there is of what candidates name. A catalogue is an advertiser's.
const (
	creativesEach   = 4
	itemsEach       = 1000
	categoriesEach  = 20
	mostCandidates  = 500    // of a request, from the contract
	candidateBudget = 40_000 // over all lists, made up once
	mostLists       = 2048
)

// candidate is one candidate as made up once.
type candidate struct {
	campaign *campaign
	creative string
	item     string
	category string
	// named is `"campaign":"x","creative":"y"...`, for the report of its showing.
	named []byte
	// counted are the numbers of the scopes in which a showing counts, and limits the
	// caps it is held to; for the oracle.
	counted []uint32
	limits  []scopedLimit
}

// candidateList is the candidates of a request, made up once: their JSON as a list.
type candidateList struct {
	json       []byte
	candidates []candidate
}

// makeCandidates makes up lists of candidates from the campaigns in force. Where there
// are fewer campaigns than candidates, they repeat with other creatives and items.
func makeCandidates(p *loadPolicy, c *LoadConfig, r *rand.Rand, now time.Time) []candidateList {
	lists := make([]candidateList, min(max(candidateBudget/c.Candidates, 32), mostLists))
	items := newZipf(itemsEach, 0.8)
	for i := range lists {
		l := &lists[i]
		l.json = append(l.json, '[')
		var order []int
		for range c.Candidates {
			if len(order) == 0 {
				order = r.Perm(len(p.names))
			}
			if len(l.candidates) > 0 {
				l.json = append(l.json, ',')
			}
			made := makeCandidate(p.Campaigns[p.names[order[0]]], c, r, items)
			order = order[1:]
			l.json = append(append(l.json, '{'), made.named...)
			l.json = append(append(l.json, made.campaign.interestFields(now)...), '}')
			l.candidates = append(l.candidates, made)
		}
		l.json = append(l.json, ']')
	}
	return lists
}

func makeCandidate(of *campaign, c *LoadConfig, r *rand.Rand, items *zipf) candidate {
	made := candidate{campaign: of}
	item := items.draw(r)
	if percentDrawn(r, c.CreativePercent) {
		made.creative = creativeOf(of.name, 1+r.IntN(creativesEach))
	}
	if percentDrawn(r, c.ItemPercent) {
		made.item = fmt.Sprintf("sku-%06d", item)
	}
	if percentDrawn(r, c.CategoryPercent) {
		made.category = "category-" + strconv.Itoa(item%categoriesEach)
	}
	made.named = appendString(append(made.named, `"campaign":`...), of.name)
	for _, f := range [...]struct{ key, value string }{{`,"creative":`, made.creative}, {`,"item":`, made.item}, {`,"category":`, made.category}} {
		if f.value != "" {
			made.named = appendString(append(made.named, f.key...), f.value)
		}
	}
	return made
}

// creativeOf is the name of a campaign's creative: short, however long the campaign's
// is, and no other campaign's.
func creativeOf(campaign string, n int) string {
	h := fnv.New32a()
	h.Write([]byte(campaign))
	return fmt.Sprintf("c-%08x-%d", h.Sum32(), n)
}

func percentDrawn(r *rand.Rand, percent float64) bool {
	return percent > 0 && r.Float64()*100 < percent
}
