package loadtest

import (
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// LoadOptions says what a load test does.
type LoadOptions struct {
	// Config is what was asked for. Load fills in what it finds out: Segments, Campaigns,
	// SourceRows, RequestBytes.
	Config LoadConfig
	// FromRate is where a ramp or steps begin, SpikeRate the rate of a spike; requests
	// per second. 0: a tenth of the rate, and three times the rate.
	FromRate, SpikeRate float64
	// Admin is the node's admin listener, for its policy and metrics. "": CampaignNames
	// must be given, and there is no server side in the report.
	Admin string
	// Key is an access key, "" for none.
	Key string
	// TLS is how targets are spoken to that are https://host:port: their authority in
	// RootCAs, and what to show one that asks for a certificate in Certificates. Nil: the
	// authorities of this machine. It is copied.
	TLS *tls.Config
	// YesRemote allows targets that are not on this machine.
	YesRemote bool
	// CampaignNames are used in place of those of the node's policy.
	CampaignNames []string
	// SourcePath is a log of bid requests; "": requests are made up.
	SourcePath string
	SLOs       []SLO
	// FindKnee raises the rate from Config.Rate until an objective breaks, each step
	// taking Config.DurationSeconds.
	FindKnee bool
	// Oracle recounts showings and holds the verdicts to them.
	Oracle bool
	// Progress is told what is being done; nil: nobody is.
	Progress func(text string)
}

// Bounds of the options.
const (
	mostRate        = 1e6
	mostConnections = 10_000
	mostUsers       = 1_000_000_000
	mostConsents    = 100_000
	mostLoadSeconds = 7 * 86400
)

// loadKind is a kind of request.
type loadKind int

const (
	loadDecide loadKind = iota
	loadImpression
	loadClick
	loadPurchase
	loadHide
	loadKinds
)

var loadKindNames = [loadKinds]string{"decide", "impression", "click", "purchase", "hide"}

// ParseMix reads NAME=WEIGHT,..., such as decide=95,impression=5.
func ParseMix(text string) ([]Weight, error) {
	weights, err := parseWeights(text)
	if err != nil {
		return nil, fmt.Errorf("read mix %q: %w, such as decide=95,impression=5", text, err)
	}
	for _, w := range weights {
		if !slices.Contains(loadKindNames[:], w.Name) {
			return nil, fmt.Errorf("read mix %q: %q is none of %s", text, w.Name, strings.Join(loadKindNames[:], ", "))
		}
	}
	if !slices.ContainsFunc(weights, func(w Weight) bool { return w.Name == loadKindNames[loadDecide] && w.Weight > 0 }) {
		return nil, fmt.Errorf("read mix %q: without decide there is nothing to report events of", text)
	}
	return weights, nil
}

// ParseCountries reads COUNTRY=WEIGHT,... of ISO 3166-1 alpha-3 codes, such as
// DEU=60,USA=40.
func ParseCountries(text string) ([]Weight, error) {
	weights, err := parseWeights(text)
	if err != nil {
		return nil, fmt.Errorf("read countries %q: %w, such as DEU=60,USA=40", text, err)
	}
	for _, w := range weights {
		if len(w.Name) != 3 || strings.Trim(w.Name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
			return nil, fmt.Errorf("read countries %q: %q is no alpha-3 code, such as DEU", text, w.Name)
		}
	}
	return weights, nil
}

func parseWeights(text string) (weights []Weight, err error) {
	sum := 0.0
	for part := range strings.SplitSeq(text, ",") {
		name, number, ok := strings.Cut(strings.TrimSpace(part), "=")
		w, err := strconv.ParseFloat(number, 64)
		if !ok || name == "" || err != nil || !(w >= 0 && w <= 1e9) {
			return nil, fmt.Errorf("%q is not NAME=WEIGHT", part)
		}
		if slices.ContainsFunc(weights, func(w Weight) bool { return w.Name == name }) {
			return nil, fmt.Errorf("%q is there twice", name)
		}
		weights = append(weights, Weight{name, w})
		sum += w
	}
	if sum == 0 {
		return nil, errors.New("the weights come to nothing")
	}
	return weights, nil
}

// Validate names every fault of the options at once.
func (o *LoadOptions) Validate() error {
	c := &o.Config
	var faults []error
	within := func(flag string, v, least, most float64) {
		if !(v >= least && v <= most) {
			faults = append(faults, fmt.Errorf("%s=%s: want a number from %s to %s", flag, number(v), number(least), number(most)))
		}
	}
	one := func(flag, v string, of ...string) {
		if !slices.Contains(of, v) {
			faults = append(faults, fmt.Errorf("%s=%q: want one of %s", flag, v, strings.Join(of, ", ")))
		}
	}
	if !c.Closed {
		within("--rate", c.Rate, 0.1, mostRate)
		one("--schedule", c.Schedule, ShapeConstant, ShapeStep, ShapeRamp, ShapeSpike, ShapeSoak)
		one("--arrivals", c.Arrivals, ArrivalsEven, ArrivalsPoisson)
		within("--from-rate", o.FromRate, 0, mostRate)
		within("--spike-rate", o.SpikeRate, 0, mostRate)
	}
	within("--duration in seconds", c.DurationSeconds, 0.1, mostLoadSeconds)
	within("--warm-up in seconds", c.WarmUpSeconds, 0, 3600)
	within("--timeout in seconds", c.TimeoutSeconds, 0.001, 60)
	within("--connections", float64(c.Connections), 1, mostConnections)
	within("--users", float64(c.Users), 1, mostUsers)
	within("--zipf", c.Zipf, 0, 10)
	within("--identifiers", float64(c.Identifiers), 1, 3)
	within("--ifa", c.IFAPercent, 0, 100)
	within("--candidates", float64(c.Candidates), 1, mostCandidates)
	within("--creatives", c.CreativePercent, 0, 100)
	within("--items", c.ItemPercent, 0, 100)
	within("--categories", c.CategoryPercent, 0, 100)
	within("--want", float64(c.Want), 0, 32)
	within("--consent", c.ConsentPercent, 0, 100)
	within("--consent-strings", float64(c.ConsentStrings), 1, mostConsents)
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	wrong(c.Hold && c.Want == 0, "--hold: needs --want")
	wrong(c.Token && c.Want == 0, "--token: needs --want")
	wrong(c.Closed && o.FindKnee, "--find-knee: raises the rate, and --closed has none")
	wrong(o.FindKnee && c.Schedule != ShapeConstant, "--find-knee: each of its steps has one rate; leave out --schedule")
	wrong(o.Oracle && o.Admin == "", "--oracle: needs the caps of the policy, from --admin")
	wrong(o.Oracle && (c.Hold || c.Brief), "--oracle: cannot see the holds of others, nor the reasons of brief answers; leave out --hold and --brief")
	wrong(o.Oracle && c.weight(loadImpression) == 0, "--oracle: counts impressions, and the mix has none; say --mix decide=50,impression=50")
	wrong(o.Oracle && c.weight(loadHide) > 0, "--oracle: hides lower limits (dial_back); leave them out of --mix")
	wrong(o.Admin == "" && len(o.CampaignNames) == 0, "--campaign: needed where there is no --admin to ask for the policy")
	wrong(o.SourcePath != "" && (c.ConsentPercent > 0 || len(c.Countries) > 0), "--source: its requests say themselves what was consented to and where; leave out --consent and --countries")
	for _, name := range o.CampaignNames {
		wrong(name == "" || len(name) > 128, "--campaign=%q: want a name of at most 128 bytes", name)
	}
	if len(faults) > 0 {
		return fmt.Errorf("%w: %w", ErrOptions, errors.Join(faults...))
	}
	return nil
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// weight is a kind's share in the mix, not of 1.
func (c *LoadConfig) weight(k loadKind) float64 {
	for _, w := range c.Mix {
		if w.Name == loadKindNames[k] {
			return w.Weight
		}
	}
	return 0
}

func seconds(s float64) time.Duration { return time.Duration(math.Round(s * 1e9)) }

func (o *LoadOptions) say(format string, args ...any) {
	if o.Progress != nil {
		o.Progress(fmt.Sprintf(format, args...))
	}
}
