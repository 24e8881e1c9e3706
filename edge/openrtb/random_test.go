package openrtb

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

var seed = flag.Uint64("seed", 0, "seed of the random requests; 0 picks one")

// scribe writes random requests and events: known keys in the right and the wrong places,
// twice, escaped, with values of the right and the wrong kind.
type scribe struct {
	*rand.Rand
	strings.Builder
	wild int // one value in so many is of any kind
}

var (
	strs = []string{
		`""`, `"a"`, `"b"`, `"\u0041"`, `"é😀"`, `"\ud83d\ude00\"\\\/"`, `"00-0"`, `"1YYN"`, `"1YNN"`, `"uidapi.com"`, `"own"`,
		`"DEU"`, `"spring-shoes-in-green"`, `"impression"`, `"hide"`, `"repeats"`, `"helpful"`, `"1"`, `"0"`, `"ctv"`, `null`,
	}
	ints   = []string{`0`, `1`, `1.0`, `10e-1`, `3`, `7`, `0.3e1`, `null`, `1`, `1`}
	others = []string{
		`null`, `true`, `-1`, `0.5`, `[]`, `{}`, `"\u0000"`, `"\ud800"`, `[[{"id":1}]]`, `1793500123`, `1793500123456`, `1e400`,
		`"` + strings.Repeat("x", 129) + `"`, `{"id":"a","cat":["x"]}`, `"a`, `01`, ``,
	}
	spacing = []string{"", "", "", " ", "\n\t", "\r\n"}
)

func (s *scribe) pick(from []string) { s.WriteString(from[s.IntN(len(from))]) }

// kinds gives each key, by the object it stands in, what its value should be.
var kinds = map[string]map[string]string{
	"request": {
		"id": "str", "user": "user", "device": "device", "regs": "regs", "site": "site", "app": "site", "ext": "rext", "channel": "str",
		"candidates": "list candidate", "want": "want", "hold": "bool", "token": "bool", "brief": "bool", "at": "time", "imp": "any",
	},
	"event": {
		"type": "type", "id": "str", "token": "str", "campaign": "str", "creative": "str", "item": "str", "category": "str", "advertiser": "str",
		"channel": "str", "why": "why", "answer": "answer", "at": "time", "user": "user", "device": "device", "regs": "regs", "site": "site",
	},
	"user":      {"id": "str", "buyeruid": "str", "consent": "str", "eids": "list eid", "ext": "uext", "geo": "geo", "yob": "any"},
	"uext":      {"consent": "str", "eids": "list eid", "prebid": "any"},
	"eid":       {"source": "str", "uids": "list uid", "inserter": "any"},
	"uid":       {"id": "str", "atype": "int"},
	"device":    {"ifa": "str", "lmt": "int", "dnt": "int", "devicetype": "int", "geo": "geo", "ua": "any"},
	"geo":       {"country": "str", "region": "str", "utcoffset": "int", "lat": "any"},
	"regs":      {"gdpr": "int", "coppa": "int", "gpp": "str", "gpp_sid": "list int", "us_privacy": "str", "gpc": "gpc", "ext": "xregs"},
	"xregs":     {"gdpr": "int", "coppa": "int", "gpp": "str", "gpp_sid": "list int", "us_privacy": "str", "gpc": "gpc", "dsa": "any"},
	"site":      {"cat": "list str", "sectioncat": "list str", "pagecat": "list str", "cattax": "int", "content": "content", "page": "any"},
	"content":   {"cat": "list str", "cattax": "int"},
	"rext":      {"candidates": "list candidate", "prebid": "any"},
	"candidate": {"campaign": "name", "creative": "str", "item": "str", "category": "str", "interest_at": "time", "interest_count": "int", "interest_from": "str", "x": "any"},
}

// keys are the keys of kinds in an order that a seed can repeat.
var keys = func() map[string][]string {
	all := map[string][]string{}
	for object, fields := range kinds {
		for key := range fields {
			all[object] = append(all[object], key)
		}
		slices.Sort(all[object])
	}
	return all
}()

func (s *scribe) value(kind string) {
	if s.IntN(s.wild) == 0 {
		s.pick(others)
		return
	}
	list := strings.TrimPrefix(kind, "list ")
	switch {
	case list != kind:
		s.list(list)
	case kind == "str":
		s.pick(strs)
	case kind == "name":
		s.pick(strs[1:5])
	case kind == "int" || kind == "want":
		s.pick(ints[map[string]int{"want": 1}[kind]:])
	case kind == "time":
		s.pick([]string{`1793500123`, `1.793500123e9`, `3`, `1793500123.0`})
	case kind == "bool":
		s.pick([]string{`true`, `false`, `null`})
	case kind == "gpc":
		s.pick([]string{`"1"`, `"0"`, `1`, `0`, `true`, `false`, `""`, `null`})
	case kind == "type":
		s.pick([]string{`"impression"`, `"click"`, `"purchase"`, `"return"`, `"release"`, `"hide"`, `"complaint"`, `"feed\u0062ack"`})
	case kind == "why":
		s.pick([]string{`"repeats"`, `"creepy"`, `null`})
	case kind == "answer":
		s.pick([]string{`"helpful"`, `"intrusive"`})
	case kind == "any":
		s.pick([]string{`1`, `"a\u0000"`, `[1,{"user":{"id":"x"}},[]]`, `{"a":{"id":"b"},"c":[[[]]]}`, `-0.0e+0`, `"\ud800"`, `false`})
	default:
		s.object(kind)
	}
}

func (s *scribe) list(kind string) {
	s.WriteByte('[')
	for n := s.IntN(4); n >= 0; n-- {
		s.pick(spacing)
		s.value(kind)
		if s.pick(spacing); n > 0 {
			s.WriteByte(',')
		}
	}
	s.WriteByte(']')
}

func (s *scribe) object(kind string) {
	s.WriteByte('{')
	names := keys[kind]
	for n, count := 0, s.IntN(2*len(names)); n < count; n++ {
		s.pair(kind, names[s.IntN(len(names))])
		s.WriteByte(',')
	}
	// What the object cannot do without.
	switch kind {
	case "request":
		if s.IntN(4) > 0 {
			s.pair(kind, "want")
			s.WriteByte(',')
		}
		s.pair(kind, "candidates")
	case "event":
		for _, key := range []string{"type", "token", "campaign"} {
			s.pair(kind, key)
			s.WriteByte(',')
		}
		s.pair(kind, "answer")
	case "candidate":
		s.pair(kind, "campaign")
	default:
		s.pair(kind, names[s.IntN(len(names))])
	}
	s.WriteByte('}')
}

func (s *scribe) pair(kind, key string) {
	s.pick(spacing)
	if s.IntN(20) == 0 {
		at := s.IntN(len(key))
		fmt.Fprintf(s, `"%s\u%04x%s"`, key[:at], key[at], key[at+1:])
	} else {
		fmt.Fprintf(s, "%q", key)
	}
	s.pick(spacing)
	s.WriteByte(':')
	s.pick(spacing)
	s.value(kinds[kind][key])
	s.pick(spacing)
}

func TestRandomBodiesAgainstEncodingJSON(t *testing.T) {
	from := *seed
	if from == 0 {
		from = rand.Uint64()
	}
	t.Logf("-seed=%d", from)
	s := &scribe{Rand: rand.New(rand.NewPCG(from, 0))}
	var r Request
	var e Event
	accepted := map[string]int{}
	for range 2000 {
		s.wild = []int{1 << 30, 1000, 20}[s.IntN(3)]
		for _, kind := range []string{"request", "event"} {
			s.Reset()
			s.object(kind)
			body := []byte(s.String())
			for s.IntN(4) == 0 { // and now and then a broken byte
				body[s.IntN(len(body))] = `{}[]",:\0a `[s.IntN(11)]
			}
			if kind == "request" {
				checkRequest(t, body)
				if r.Parse(body) == nil {
					accepted[kind]++
				}
			} else {
				checkEvent(t, body)
				if e.Parse(body) == nil {
					accepted[kind]++
				}
			}
		}
	}
	if t.Logf("accepted %v of 2000 each", accepted); accepted["request"] < 200 || accepted["event"] < 200 {
		t.Error("too few bodies are accepted for the comparison to mean something")
	}
}
