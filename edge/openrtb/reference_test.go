package openrtb

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// The slow reader: what the package's documentation says, over encoding/json's view of the
// body. It shares no code with the fast one but the bounds and the shape of the views, and
// judges only bodies that the fast one accepted.

type object = map[string]any

// decode returns encoding/json's view of a body that is one object.
func decode(body []byte) (object, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var o object
	if err := d.Decode(&o); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err == nil || err.Error() != "EOF" {
		return nil, fmt.Errorf("more after the object: %v", err)
	}
	return o, nil
}

func sub(o object, path ...string) object {
	for _, name := range path {
		o, _ = o[name].(object)
	}
	return o
}

func str(o object, name string) string {
	s, _ := o[name].(string)
	return s
}

func num(o object, name string, absent int64) int64 {
	n, ok := o[name].(json.Number)
	if !ok {
		return absent
	}
	f, err := n.Float64()
	if err != nil || f != float64(int64(f)) {
		panic("accepted as a whole number: " + n.String())
	}
	return int64(f)
}

func signal(o object, name string) int64 {
	switch num(o, name, -9e9) {
	case -9e9:
		return -1
	case 0:
		return 0
	}
	return 1
}

func yes(o object, name string) bool {
	b, _ := o[name].(bool)
	return b
}

func first(s ...string) string {
	for _, s := range s {
		if s != "" {
			return s
		}
	}
	return ""
}

func referencePerson(o object) string {
	user, userExt, device := sub(o, "user"), sub(o, "user", "ext"), sub(o, "device")
	regs, regsExt := sub(o, "regs"), sub(o, "regs", "ext")

	ids, dropped := referenceIdentifiers(user, userExt, device)
	usp := first(str(regs, "us_privacy"), str(regsExt, "us_privacy"))
	isOut := func(s string) bool { return len(s) > 2 && (s[2] == 'Y' || s[2] == 'y') }
	if !isOut(usp) && isOut(str(regsExt, "us_privacy")) {
		usp = str(regsExt, "us_privacy")
	}

	var sections []uint16
	for _, place := range []object{regs, regsExt} {
		list, _ := place["gpp_sid"].([]any)
		for _, n := range list {
			if v := num(object{"n": n}, "n", -1); v >= 0 {
				sections = append(sections, uint16(v))
			}
		}
		if len(sections) > 0 {
			break
		}
	}
	gpc := false
	for _, place := range []object{regs, regsExt} {
		gpc = gpc || str(place, "gpc") == "1" || yes(place, "gpc") || signal(place, "gpc") == 1
	}

	deviceGeo, userGeo := sub(device, "geo"), sub(user, "geo")
	country, region := str(deviceGeo, "country"), str(deviceGeo, "region")
	if country == "" {
		if country = str(userGeo, "country"); country != "" {
			region = str(userGeo, "region")
		} else {
			region = first(region, str(userGeo, "region"))
		}
	}
	utc := num(deviceGeo, "utcoffset", num(userGeo, "utcoffset", 9999))
	has := utc != 9999
	if !has {
		utc = 0
	}
	channel := str(o, "channel")
	if kind := num(device, "devicetype", 0); channel != "" {
	} else if kind == 3 || kind == 7 {
		channel = "ctv"
	} else if o["site"] != nil {
		channel = "web"
	} else if o["app"] != nil {
		channel = "app"
	}
	return fmt.Sprintf("ids=[%s] dropped=%d consent=%s gpp=%s sid=%v usp=%s gdpr=%d coppa=%d lmt=%d dnt=%d gpc=%t country=%s region=%s utc=%d/%t channel=%s",
		strings.Join(ids, " "), dropped, first(str(user, "consent"), str(userExt, "consent")), first(str(regs, "gpp"), str(regsExt, "gpp")),
		sections, usp, max(signal(regs, "gdpr"), signal(regsExt, "gdpr")), max(signal(regs, "coppa"), signal(regsExt, "coppa")),
		signal(device, "lmt"), signal(device, "dnt"), gpc, country, region, utc, has, channel)
}

func referenceIdentifiers(user, userExt, device object) (ids []string, dropped int) {
	known := map[[2]string]bool{}
	add := func(source, id string) {
		if id == "" || known[[2]string{source, id}] {
			return
		}
		if len(ids) == MaxIdentifiers {
			dropped++
			return
		}
		known[[2]string{source, id}] = true
		ids = append(ids, source+"="+id)
	}
	add("user.id", str(user, "id"))
	add("buyeruid", str(user, "buyeruid"))
	if ifa := str(device, "ifa"); strings.Trim(ifa, "0-") != "" {
		add("ifa", ifa)
	}
	for _, place := range []object{user, userExt} {
		taken := 0
		eids, _ := place["eids"].([]any)
		for _, eid := range eids {
			eid, _ := eid.(object)
			uids, _ := eid["uids"].([]any)
			for _, uid := range uids {
				uid, _ := uid.(object)
				id, source := str(uid, "id"), str(eid, "source")
				switch {
				case id == "":
				case source == "", taken == MaxIdentifiers:
					dropped++
				default:
					taken++
					add(source, id)
				}
			}
		}
	}
	return ids, dropped
}

// referenceRequest renders what the documentation says of an accepted request.
func referenceRequest(o object) string {
	list, _ := o["candidates"].([]any)
	if list == nil {
		list, _ = sub(o, "ext")["candidates"].([]any)
	}
	var candidates []string
	for _, c := range list {
		c := c.(object)
		candidates = append(candidates, fmt.Sprintf("%s/%s/%s/%s/%s/%d/%t/%d/%t", str(c, "campaign"), str(c, "creative"), str(c, "item"),
			str(c, "category"), str(c, "interest_from"), num(c, "interest_at", 0), c["interest_at"] != nil,
			num(c, "interest_count", 0), c["interest_count"] != nil))
	}
	at := int64(0)
	if _, isNumber := o["at"].(json.Number); isNumber {
		if at = num(o, "at", 0); at < 100_000_000 {
			at = 0
		}
	}
	hold := yes(o, "hold")
	return fmt.Sprintf("id=%s %s want=%d hold=%t token=%t brief=%t at=%d/%t candidates=[%s]", str(o, "id"), referencePerson(o),
		num(o, "want", 0), hold, hold || yes(o, "token"), yes(o, "brief"), at, at != 0, strings.Join(candidates, " "))
}

// referenceCategories counts the categories, each with its taxonomy: their order is the body's, which a map has
// not kept.
func referenceCategories(o object) map[string]int {
	count := map[string]int{}
	for _, name := range []string{"site", "app"} {
		place, content := sub(o, name), sub(o, name, "content")
		for _, l := range []struct {
			of   object
			name string
		}{{place, "cat"}, {place, "sectioncat"}, {place, "pagecat"}, {content, "cat"}} {
			list, _ := l.of[l.name].([]any)
			for _, category := range list {
				if s, _ := category.(string); s != "" {
					count[fmt.Sprintf("%s:%d", s, num(l.of, "cattax", 0))]++
				}
			}
		}
	}
	return count
}

func referenceEvent(o object) string {
	return fmt.Sprintf("type=%s/%[1]s id=%s token=%s campaign=%s creative=%s item=%s category=%s advertiser=%s why=%s answer=%s at=%d/%t person=%t %s",
		str(o, "type"), str(o, "id"), str(o, "token"), str(o, "campaign"), str(o, "creative"), str(o, "item"), str(o, "category"),
		str(o, "advertiser"), str(o, "why"), str(o, "answer"), num(o, "at", 0), o["at"] != nil, o["user"] != nil || o["device"] != nil,
		referencePerson(o))
}
