package openrtb

import (
	"fmt"
	"strings"
)

// requestView renders everything a request says, so that two can be compared.
func requestView(r *Request) string {
	var candidates []string
	for i := range r.Candidates {
		c := &r.Candidates[i]
		candidates = append(candidates, fmt.Sprintf("%s/%s/%s/%s/%s/%d/%t/%d/%t", c.Campaign, c.Creative, c.Item, c.Category,
			c.InterestFrom, c.InterestAt, c.HasInterestAt, c.InterestCount, c.HasInterestCount))
	}
	return fmt.Sprintf("id=%s %s cats=[%s] want=%d hold=%t token=%t brief=%t at=%d/%t candidates=[%s]",
		r.ID, personView(&r.Person), strings.Join(categoryViews(r), " "), r.Want, r.Hold, r.Token, r.Brief,
		r.At, r.HasAt, strings.Join(candidates, " "))
}

// categoryViews are the categories, each with its taxonomy.
func categoryViews(r *Request) []string {
	var views []string
	for i, c := range r.Categories {
		views = append(views, fmt.Sprintf("%s:%d", c, r.Taxonomy(i)))
	}
	return views
}

func eventView(e *Event) string {
	return fmt.Sprintf("type=%s/%s id=%s token=%s campaign=%s creative=%s item=%s category=%s advertiser=%s why=%s answer=%s at=%d/%t person=%t %s",
		e.Type, e.RawType, e.ID, e.Token, e.Campaign, e.Creative, e.Item, e.Category, e.Advertiser, e.Why, e.Answer, e.At, e.HasAt,
		e.HasPerson, personView(&e.Person))
}

func personView(p *Person) string {
	var ids []string
	for _, id := range p.Identifiers {
		ids = append(ids, fmt.Sprintf("%s=%s", id.Source, id.ID))
	}
	s := &p.Signals
	return fmt.Sprintf("ids=[%s] dropped=%d consent=%s gpp=%s sid=%v usp=%s gdpr=%d coppa=%d lmt=%d dnt=%d gpc=%t country=%s region=%s utc=%d/%t channel=%s",
		strings.Join(ids, " "), p.IdentifiersDropped, s.Consent, s.GPP, s.GPPSID, s.USPrivacy, s.GDPR, s.COPPA, s.LMT, s.DNT, s.GPC,
		p.Country, p.Region, p.UTCOffset, p.HasUTCOffset, p.Channel)
}

// aliases lists every field that is a slice of the body.
func (p *Person) aliases() [][]byte {
	s := &p.Signals
	all := [][]byte{s.Consent, s.GPP, s.USPrivacy, p.Country, p.Region}
	for _, id := range p.Identifiers {
		all = append(all, id.ID)
		if source := string(id.Source); source != SourceUserID && source != SourceBuyerUID && source != SourceIFA {
			all = append(all, id.Source)
		}
	}
	if channel := string(p.Channel); channel != "ctv" && channel != "web" && channel != "app" {
		all = append(all, p.Channel)
	}
	return all
}

func (r *Request) aliases() [][]byte {
	all := append(r.Person.aliases(), r.ID)
	all = append(all, r.Categories...)
	for i := range r.Candidates {
		c := &r.Candidates[i]
		all = append(all, c.Campaign, c.Creative, c.Item, c.Category, c.InterestFrom)
	}
	return all
}

func (e *Event) aliases() [][]byte {
	return append(e.Person.aliases(), e.RawType, e.ID, e.Token, e.Campaign, e.Creative, e.Item, e.Category, e.Advertiser, e.Why, e.Answer)
}
