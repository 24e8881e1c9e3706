package loadtest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// The Complete Journey spreads one story over five files, which lie beside one
// another and share the part of their names before and after the table's.
const (
	journeyTransactions = "transactions"
	journeyCampaigns    = "campaigns"
	journeyTargets      = "campaign_targets"
	journeyProducts     = "campaign_products"
	journeyRedemptions  = "redemptions"
)

func journeyPreset() Preset {
	return Preset{
		Name: presetJourney, Advertiser: presetJourney,
		Stands: "Each household that a campaign targeted is taken to be offered one showing a day, at noon UTC, on every day of the campaign's window; a transaction line is a purchase of that product, a redeemed coupon a purchase of the campaign's offer.",
		Notes: []string{
			"the showing a day is an assumption: the log says whom a campaign targeted and when, not how often a household saw it",
			"the item of a showing is offer-CAMPAIGN, bought by redeeming one of the campaign's coupons; its category is products-CAMPAIGN, bought by any purchase, during the campaign, of a product that it lists",
		},
		Columns: Columns{Every: "purchase", Time: "transaction_timestamp", TimeFormat: "rfc3339", User: []string{"household_id"}, CampaignName: presetJourney, Item: []string{"product_id"}, Quantity: "quantity"},
	}
}

// journeyCampaign is one campaign's window in days since 1970, both included.
type journeyCampaign struct {
	first, last int64
	products    map[string]struct{}
}

type journey struct {
	log       *eventLog
	campaigns map[string]*journeyCampaign
	targeted  map[string][]string // household -> campaigns
	times     *timeParser
}

// loadJourney reads the five files around the transactions at path.
func loadJourney(l *eventLog, path string, c Columns) error {
	j := &journey{log: l, campaigns: map[string]*journeyCampaign{}, targeted: map[string][]string{}}
	j.times, _ = newTimeParser("2006-01-02", "")
	folder, name := filepath.Split(path)
	if !strings.Contains(name, journeyTransactions) {
		return fmt.Errorf("open log %q: the preset %s wants the transactions file (its name holds %q), with the other tables beside it", path, presetJourney, journeyTransactions)
	}
	beside := func(table string) string {
		return filepath.Join(folder, strings.Replace(name, journeyTransactions, table, 1))
	}
	for _, t := range []struct {
		table   string
		columns []string
		row     func(int, []string) *rowFault
	}{
		{journeyCampaigns, []string{"campaign_id", "start_date", "end_date"}, j.campaign},
		{journeyProducts, []string{"campaign_id", "product_id"}, j.product},
		{journeyTargets, []string{"campaign_id", "household_id"}, j.target},
		{journeyRedemptions, []string{"household_id", "campaign_id", "redemption_date"}, j.redemption},
	} {
		if err := l.readTable(beside(t.table), t.columns, t.row); err != nil {
			return fmt.Errorf("table %s of preset %s: %w", t.table, presetJourney, err)
		}
	}
	l.each = j.transaction
	return l.readFile(path, c)
}

func (j *journey) day(text string) (int64, bool) {
	at, ok := j.times.parse(text)
	return at / int64(24*time.Hour), ok
}

func (j *journey) campaign(_ int, f []string) *rowFault {
	first, ok1 := j.day(f[1])
	last, ok2 := j.day(f[2])
	if !ok1 || !ok2 || last < first || last-first > 1000 {
		return &rowFault{"time", fmt.Sprintf("window %q to %q cannot be used", f[1], f[2])}
	}
	j.campaigns[f[0]] = &journeyCampaign{first: first, last: last, products: map[string]struct{}{}}
	return nil
}

func (j *journey) product(_ int, f []string) *rowFault {
	c := j.campaigns[f[0]]
	if c == nil {
		return &rowFault{"unknown campaign", "no window is given for this campaign"}
	}
	c.products[f[1]] = struct{}{}
	return nil
}

// target makes the showings of one household under one campaign.
func (j *journey) target(line int, f []string) *rowFault {
	c := j.campaigns[f[0]]
	if c == nil {
		return &rowFault{"unknown campaign", "no window is given for this campaign"}
	}
	j.targeted[f[1]] = append(j.targeted[f[1]], f[0])
	e := event{kind: kindImpression, line: line, user: []byte(f[1]), campaign: []byte(presetJourney + "-" + f[0]), item: []byte("offer-" + f[0]), category: []byte("products-" + f[0])}
	if fault := e.fault(); fault != nil {
		return fault
	}
	for day := c.first; day <= c.last; day++ {
		e.at = day*int64(24*time.Hour) + int64(12*time.Hour)
		j.log.add(&e)
	}
	return nil
}

func (j *journey) redemption(line int, f []string) *rowFault {
	day, ok := j.day(f[2])
	if !ok {
		return &rowFault{"time", "the date of redemption cannot be read"}
	}
	// The log gives the day. Its end is taken, so that no showing of that day
	// is called a showing after the purchase.
	e := event{kind: kindPurchase, line: line, at: (day+1)*int64(24*time.Hour) - 1, user: []byte(f[0]), item: []byte("offer-" + f[1])}
	if fault := e.fault(); fault != nil {
		return fault
	}
	j.log.add(&e)
	return nil
}

// transaction adds the purchase once for each running campaign that targets
// the household and lists the product, or once without a campaign.
func (j *journey) transaction(e *event) {
	matched := false
	if e.kind == kindPurchase {
		day := e.at / int64(24*time.Hour)
		for _, id := range j.targeted[string(e.user)] {
			c := j.campaigns[id]
			if _, listed := c.products[string(e.item)]; !listed || day < c.first || day > c.last {
				continue
			}
			e.category = append([]byte("products-"), id...)
			j.log.add(e)
			matched = true
		}
	}
	if !matched {
		j.log.add(e)
	}
}

// readTable calls row with the named columns of each row of a companion file.
func (l *eventLog) readTable(path string, columns []string, row func(int, []string) *rowFault) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w (it must lie beside the transactions)", err)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	r, err := newLineReader(f)
	if err != nil {
		return err
	}
	line, _, err := r.next()
	if err != nil {
		return fmt.Errorf("read header of %q: %w", path, errors.Join(ErrEmptyLog, err))
	}
	separator := detectSeparator(line)
	h, err := readHeader(line, separator)
	if err != nil {
		return err
	}
	at := make([]int, len(columns))
	for i, c := range columns {
		at[i] = h.find("preset", c)
	}
	if err := h.err(); err != nil {
		return err
	}
	values := make([]string, len(columns))
	var fields [][]byte
	for {
		line, tooLong, err := r.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		fault := &rowFault{"line too long", "over " + strconv.Itoa(maxLineBytes) + " bytes"}
		if !tooLong {
			fault = nil
			fields, err = appendFields(fields[:0], line, separator)
			if err != nil || len(fields) != len(h.names) {
				fault = &rowFault{"number of fields", "not the header's number of fields"}
			}
		}
		if err := l.count(path); err != nil {
			return err
		}
		if fault == nil {
			for i, c := range at {
				values[i] = string(fields[c])
			}
			fault = row(r.line, values)
		}
		if fault != nil {
			l.rejected.add(filepath.Base(path), r.line, *fault)
		}
	}
}
