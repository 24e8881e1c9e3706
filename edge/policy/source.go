package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Source is a policy text that has been read and found without fault. It is not
// changed by Compile and may be compiled any number of times.
type Source struct {
	File string
	Settings
	campaigns []written
}

// topKeys are the keys of a policy, in the order in which they are read: what
// others refer to comes first.
var topKeys = []string{
	"timezone", "no_id", "sources", "retention", "consent", "third_party_lists", "markets", "unknown",
	"sensitive", "lists", "dial_back", "holdout", "dsa", "campaigns",
}

// Parse reads a policy text, YAML or JSON. file names it in faults. The error is
// Faults with every fault of the text, or nil; of broken YAML it is the first
// alone. The text is not kept. Time and memory grow with the text's length: 3 s
// and 0.6 GiB allocated for 100,000 campaigns (BenchmarkParse), up to three times
// that for the worst of 16 MiB found.
func Parse(text []byte, file string) (*Source, error) {
	r := &reader{file: file}
	src := &Source{File: file, Settings: defaults()}
	if root, ok := r.document(text); ok {
		src.read(&root)
	}
	if len(r.faults) > 0 {
		slices.SortStableFunc(r.faults, func(a, b Fault) int { return a.Line - b.Line })
		return nil, r.faults
	}
	for i := range src.campaigns {
		src.campaigns[i].forget()
	}
	return src, nil
}

// defaults are the settings of an empty text.
func defaults() Settings {
	s := Settings{
		Zone:      time.UTC,
		Retention: Retention{defaultExposuresSeconds, defaultPurchasesSeconds},
		Sensitive: defaultSensitive,
		DialBack: DialBack{
			On: true, Window: defaultDialBackSeconds, MinShown: defaultDialBackShown, MinPeople: defaultDialBackPeople,
			HidesPer10K: defaultDialBackHides, Factor: defaultDialBackFactor, PauseAt: defaultDialBackPauseAt,
		},
		Markets: []Market{{
			Name: defaultMarket, Require: RequireTCF, CapFactor: millionths, Precision: PrecisionItem, Zone: time.UTC,
		}},
	}
	s.Consent.Purposes[Retargeting] = 1<<0 | 1<<2 | 1<<3 // TCF purposes 1, 3, 4
	s.Consent.Purposes[Acquisition] = 1<<0 | 1<<1        // 1, 2
	s.Consent.Storage = 1 << 0                           // 1
	return s
}

// document reads the text into nodes.
func (r *reader) document(text []byte) (root spot, ok bool) {
	switch {
	case len(text) > MaxTextBytes:
		r.note(1, "", "split campaigns over fewer keys or use aliases", "the text is longer than 16 MiB")
		return root, false
	case separators(text) > maxSeparators:
		r.note(1, "", "write a smaller policy", "the text has more than 4,000,000 separators")
		return root, false
	}
	decoder := yaml.NewDecoder(bytes.NewReader(readable(text)))
	var doc, more yaml.Node
	if err := decoder.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			r.note(1, "", "write at least campaigns: {}", "the text is empty")
		} else {
			r.syntax(text, err)
		}
		return root, false
	}
	if err := decoder.Decode(&more); err == nil {
		r.note(more.Line, "", "keep one", "the text has more than one document")
		return root, false
	} else if !errors.Is(err, io.EOF) {
		r.syntax(text, err)
		return root, false
	}
	top := spot{r: r, n: &doc}
	if len(doc.Content) != 1 {
		r.note(1, "", "write at least campaigns: {}", "the text is empty")
		return root, false
	}
	root, ok = top.child(doc.Content[0], "", 0)
	root.up = nil
	return root, ok
}

// syntax notes an error of the YAML reader, which stops at the first.
func (r *reader) syntax(text []byte, err error) {
	line, what := SyntaxError(text, err)
	r.note(line, "", "mend the YAML at or before this line", what)
}

// separators bounds the number of values of a text from above, to within a
// factor of two, before memory is spent on them.
func separators(text []byte) int {
	n := 0
	for _, c := range text {
		switch c {
		case ',', ':', '[', '{', '\n', '-', '?':
			n++
		}
	}
	return n
}

// readable rewrites the two escapes that JSON has and the YAML library does not
// read: a slash, and a character as two \u escapes. Other texts stay as they are.
func readable(text []byte) []byte {
	if !bytes.Contains(text, []byte(`\`)) || !json.Valid(text) {
		return text
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] != '\\':
			out = append(out, text[i])
		case text[i+1] == '/':
			i++
			out = append(out, '/')
		case text[i+1] == 'u' && i+12 <= len(text) && text[i+6] == '\\' && text[i+7] == 'u' && pair(text[i+2:i+6], text[i+8:i+12]) != 0:
			out = utf8.AppendRune(out, pair(text[i+2:i+6], text[i+8:i+12]))
			i += 11
		default:
			out = append(out, text[i], text[i+1])
			i++
		}
	}
	return out
}

// pair decodes a surrogate pair of hexadecimal digits; 0 if it is none.
func pair(high, low []byte) rune {
	h, err1 := strconv.ParseUint(string(high), 16, 16)
	l, err2 := strconv.ParseUint(string(low), 16, 16)
	if r := utf16.DecodeRune(rune(h), rune(l)); err1 == nil && err2 == nil && r != utf8.RuneError {
		return r
	}
	return 0
}

func (src *Source) read(root *spot) {
	entries := root.entries(topKeys...)
	slices.SortStableFunc(entries, func(a, b spot) int {
		return slices.Index(topKeys, a.key) - slices.Index(topKeys, b.key)
	})
	for i := range entries {
		if e := &entries[i]; e.key == "timezone" {
			src.Zone = e.location()
			src.Markets[0].Zone = src.Zone
		} else if e.key == "retention" { // which those of markets are compared with
			src.readRetention(e)
		}
	}
	unknown := (*spot)(nil)
	campaigns := (*spot)(nil)
	for i := range entries {
		switch e := &entries[i]; e.key {
		case "no_id":
			src.NoIDShow = e.choice("skip", "show") == 1
		case "sources":
			src.Sources = e.texts(maxSources, MaxNameBytes)
		case "consent":
			src.readConsent(e)
		case "third_party_lists":
			src.ThirdPartyLists = e.choice("refuse", "allow") == 1
		case "markets":
			src.readMarkets(e)
		case "unknown":
			unknown = e
		case "sensitive":
			src.Sensitive = e.topics(true)
		case "lists":
			src.readLists(e)
		case "dial_back":
			src.readDialBack(e)
		case "holdout":
			src.readHoldout(e)
		case "dsa":
			src.readDSA(e)
		case "campaigns":
			campaigns = e
		}
	}
	src.readUnknown(unknown)
	if campaigns == nil && root.n.Kind != yaml.MappingNode {
		return
	}
	if campaigns == nil {
		root.fault("write campaigns: {} if there are none yet", "campaigns is missing")
		return
	}
	src.readCampaigns(campaigns)
}
