package suppress

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// kind is what a column holds, by its name.
type kind struct {
	prefix string  // of the sources that it can feed: emailPrefix, phonePrefix, or a whole source
	digest *digest // that the name declares; nil: it does not
}

// Words that the names of identifier columns are made of in the exports of
// Google Customer Match, Meta custom audiences, LiveRamp, Klaviyo, HubSpot,
// Mailchimp, Shopify, Salesforce, Cordial and Segment. A name is recognised when
// it is made of these alone, so Email Status, Phone Extension and the address of
// an account's owner are not.
var (
	emailWords  = wordSet(`email emails mail`)
	phoneWords  = wordSet(`phone phones telephone tel mobile cell msisdn`)
	deviceNames = wordSet(`ifa idfa gaid aaid maid madid adid advertisingid mobileadvertisingid mobileadvertiserid mobileadid mobiledeviceid googleadid appleidfa`)
	hashWords   = map[string]*digest{"sha256": &digests[0], "sha1": &digests[1], "md5": &digests[2]}
	besideWords = wordSet(`e address addresses number numbers no nr hash hashed hex lower lowercase
		user customer contact client member subscriber person profile buyer shopper account channels properties attributes fields
		primary secondary personal home work business other alternate alternative default billing shipping main first second third`)
)

// kindOf recognises a column by its name.
func kindOf(name string) (kind, bool) {
	if len(name) > maxShownName {
		return kind{}, false
	}
	words := nameWords(name)
	if deviceNames[strings.Join(words, "")] {
		return kind{prefix: "ifa"}, true
	}
	var k kind
	for _, word := range words {
		is, ok := "", besideWords[word] || len(word) == 1 && word[0] >= '1' && word[0] <= '9'
		switch {
		case emailWords[word]:
			is, ok = emailPrefix, true
		case phoneWords[word]:
			is, ok = phonePrefix, true
		case hashWords[word] != nil && k.digest == nil:
			k.digest, ok = hashWords[word], true
		}
		// Mobile phone number is of one kind, email or phone of none.
		if !ok || is != "" && k.prefix != "" && k.prefix != is {
			return kind{}, false
		}
		if is != "" {
			k.prefix = is
		}
	}
	return k, k.prefix != ""
}

// nameWords takes a name apart where a person would: EmailAddress_2, E-Mail,
// SHA256EMAIL, channels.email.address.
func nameWords(name string) (words []string) {
	for _, part := range strings.FieldsFunc(name, func(r rune) bool { return strings.ContainsRune(" _-.()[]/#:", r) }) {
		from, runes := 0, []rune(part)
		for n := range runes {
			if n > 0 && unicode.IsUpper(runes[n]) && unicode.IsLower(runes[n-1]) {
				words = append(words, joinedWords(strings.ToLower(string(runes[from:n])))...)
				from = n
			}
		}
		words = append(words, joinedWords(strings.ToLower(string(runes[from:])))...)
	}
	return words
}

// joinedWords takes apart what capitals do not: emailaddress, phone2, sha256email.
func joinedWords(word string) []string {
	if word == "sha" || word == "256" { // SHA-256
		return nil
	}
	known := func(w string) bool {
		return len(w) > 1 && (emailWords[w] || phoneWords[w] || besideWords[w]) || hashWords[w] != nil
	}
	if known(word) {
		return []string{word}
	}
	for n := len(word) - 1; n > 0; n-- {
		rest := word[n:]
		if known(word[:n]) && (known(rest) || len(rest) == 1 && rest[0] >= '1' && rest[0] <= '9') {
			return []string{word[:n], rest}
		}
	}
	return []string{word}
}

// recognised gives the sources that a column feeds by its name: one that is
// called like a source feeds that one; one whose name says email, phone or device
// feeds the source of that kind, where it is hashed or is to be hashed.
func (i *importer) recognised(name string) (exact bool, sources []string) {
	for _, source := range i.decl.Sources {
		if i.asked(source) && strings.EqualFold(source, name) {
			return true, []string{source}
		}
	}
	k, ok := kindOf(name)
	if !ok {
		return false, nil
	}
	for _, source := range i.decl.Sources {
		d := digestOf(source)
		switch {
		case !i.asked(source) || !strings.HasPrefix(source, k.prefix):
		case k.prefix == "ifa" && source == "ifa", k.prefix != "ifa" && d != nil && (k.digest == nil || k.digest == d):
			sources = append(sources, source)
		}
	}
	return false, sources
}

func (i *importer) asked(source string) bool { return i.im.ID == "" || i.im.ID == source }

// recognise finds the identifier columns of a file by their names. A column that
// is called like a source stands for that source; where raw values are hashed,
// others of its kind do too, else they may be the raw values of the same hashes.
func (i *importer) recognise(names []string) (ids []boundColumn, err error) {
	var called []string // sources that a column is called like
	for _, name := range names {
		if exact, sources := i.recognised(name); exact {
			called = append(called, sources[0])
		}
	}
	for n, name := range names {
		exact, sources := i.recognised(name)
		if !exact && (i.im.scheme() == None || len(sources) > 1) {
			sources = slices.DeleteFunc(sources, func(s string) bool { return slices.Contains(called, s) })
		}
		switch {
		case len(sources) == 1:
			ids = append(ids, i.bound(n, name, sources[0]))
		case len(sources) > 1:
			return nil, fmt.Errorf("%w: column %q may be of any of %q; %s", ErrColumn, name, sources, mapLine(name, sources[0]))
		}
	}
	return ids, nil
}

// mapLine is what a caller writes to name a column.
func mapLine(column, source string) string {
	return fmt.Sprintf("write map=%s:%s (restraint push: --map %q)", column, source, column+"="+source)
}
