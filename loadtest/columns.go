package loadtest

import (
	"errors"
	"fmt"
	"strings"
)

// Columns says which column of a log means what. Names are compared with the
// header exactly; where a field takes several columns, their values are joined
// with "-". The tags are flag names for a command line that embeds the struct.
type Columns struct {
	Separator string `name:"separator" help:"Field separator: one character, or 'tab'. Default: what the header holds most of , tab ;" json:"separator,omitempty"`

	Time       string `name:"time-column" help:"Column of the time." json:"time,omitempty"`
	TimeFormat string `name:"time-format" help:"auto, rfc3339, unix, unix-ms, unix-us, unix-ns or a Go layout." json:"time_format,omitempty"`
	TimeZone   string `name:"time-zone" help:"IANA zone of times that carry none. Default: UTC." json:"time_zone,omitempty"`

	User []string `name:"user-column" help:"Column of the user; several are joined." json:"user,omitempty"`

	Campaign     string   `name:"campaign-column" help:"Column of the campaign." json:"campaign,omitempty"`
	CampaignName string   `name:"campaign-name" help:"Campaign of every row, or what stands before the campaign column's value." json:"campaign_name,omitempty"`
	Creative     string   `name:"creative-column" help:"Column of the creative." json:"creative,omitempty"`
	Item         []string `name:"item-column" help:"Column of the item; several are joined." json:"item,omitempty"`
	Category     string   `name:"category-column" help:"Column of the item's category." json:"category,omitempty"`

	// Kind names the column whose value tells the kind of a row; the four lists
	// that follow are its values. A value in none of them is kind "other".
	Kind        string   `name:"kind-column" help:"Column that tells what a row is." json:"kind,omitempty"`
	Impressions []string `name:"impression-value" help:"Values of the kind column that are impressions." json:"impressions,omitempty"`
	Clicks      []string `name:"click-value" help:"Values of the kind column that are clicks (counted, not sent)." json:"clicks,omitempty"`
	Purchases   []string `name:"purchase-value" help:"Values of the kind column that are purchases." json:"purchases,omitempty"`
	Returns     []string `name:"return-value" help:"Values of the kind column that undo a purchase." json:"returns,omitempty"`
	// Every is the kind of every row where there is no kind column.
	Every string `name:"every-row" help:"Kind of every row where no column tells it: impression or purchase. Default: impression." json:"every,omitempty"`

	// Quantity turns a purchase into a return where negative. Zero, of any kind, is "other".
	Quantity string `name:"quantity-column" help:"Column of the quantity: negative undoes a purchase, zero is no event." json:"quantity,omitempty"`
	// Undo marks rows that undo: a purchase becomes a return, an impression becomes "other".
	Undo string `name:"undo" help:"COLUMN=PREFIX: rows whose column begins with the prefix undo a purchase." json:"undo,omitempty"`
	// Clicked is 1 or true where an impression was clicked.
	Clicked string `name:"clicked-column" help:"Column that is 1 or true where an impression was clicked." json:"clicked,omitempty"`
}

// over returns preset with every field that c sets replaced by c's.
func (c Columns) over(preset Columns) Columns {
	one := func(dst *string, v string) {
		if v != "" {
			*dst = v
		}
	}
	many := func(dst *[]string, v []string) {
		if len(v) > 0 {
			*dst = v
		}
	}
	p := preset
	one(&p.Separator, c.Separator)
	one(&p.Time, c.Time)
	one(&p.TimeFormat, c.TimeFormat)
	one(&p.TimeZone, c.TimeZone)
	many(&p.User, c.User)
	one(&p.Campaign, c.Campaign)
	one(&p.CampaignName, c.CampaignName)
	one(&p.Creative, c.Creative)
	many(&p.Item, c.Item)
	one(&p.Category, c.Category)
	one(&p.Kind, c.Kind)
	many(&p.Impressions, c.Impressions)
	many(&p.Clicks, c.Clicks)
	many(&p.Purchases, c.Purchases)
	many(&p.Returns, c.Returns)
	one(&p.Every, c.Every)
	one(&p.Quantity, c.Quantity)
	one(&p.Undo, c.Undo)
	one(&p.Clicked, c.Clicked)
	return p
}

// validate names every fault that can be seen without the log.
func (c *Columns) validate() error {
	var faults []error
	if c.Time == "" {
		faults = append(faults, errors.New("no column for the time: write --time-column=NAME"))
	}
	if len(c.User) == 0 {
		faults = append(faults, errors.New("no column for the user: write --user-column=NAME"))
	}
	if c.Campaign == "" && c.CampaignName == "" {
		faults = append(faults, errors.New("no campaign: write --campaign-column=NAME or --campaign-name=CAMPAIGN"))
	}
	if c.Kind == "" && len(c.Impressions)+len(c.Clicks)+len(c.Purchases)+len(c.Returns) > 0 {
		faults = append(faults, errors.New("values of kinds without a kind column: write --kind-column=NAME"))
	}
	if c.Kind != "" && len(c.Impressions)+len(c.Purchases)+len(c.Returns) == 0 {
		faults = append(faults, errors.New("a kind column without values: write --impression-value=VALUE or --purchase-value=VALUE"))
	}
	switch c.Every {
	case "", "impression", "purchase":
	default:
		faults = append(faults, fmt.Errorf("--every-row=%q: want impression or purchase", c.Every))
	}
	if c.Undo != "" {
		if column, prefix, ok := strings.Cut(c.Undo, "="); !ok || column == "" || prefix == "" {
			faults = append(faults, fmt.Errorf("--undo=%q: want COLUMN=PREFIX", c.Undo))
		}
	}
	if c.Separator != "" && c.Separator != "tab" && len(c.Separator) != 1 {
		faults = append(faults, fmt.Errorf("--separator=%q: want one character, or tab", c.Separator))
	}
	if _, err := newTimeParser(c.TimeFormat, c.TimeZone); err != nil {
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}
