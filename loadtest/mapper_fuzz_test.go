package loadtest

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"
	"unicode/utf8"
)

// FuzzMapRow holds every row that is taken to what a node accepts: bounded,
// valid names, a time in 32 bits, and bodies that are JSON with those names.
func FuzzMapRow(f *testing.F) {
	f.Add("t,u,c,i,k,q", "1,u,a,x,view,1", "")
	f.Add("t,u,c,i,k,q", "1,\"u,\"\"v\"\"\",a,x,buy,-1", "unix-ms")
	f.Add("t;u;c;i;k;q", "2017-03-02T08:00:00Z;u;a;x;back;0", "rfc3339")
	f.Add("q\tt\tu\tc\ti\tk", "1e300\t1.5\tu\ta\t\x01\\\tview", "unix")
	f.Add("t,u,c,i,k,q", "-9223372036854775808,u,a,x,view,NaN", "unix-ns")
	f.Add("t,u,c,i,k,q", "9999-12-31,u,a,x,\x00,1", "auto")
	f.Fuzz(func(t *testing.T, header, line, format string) {
		c := plain
		c.TimeFormat, c.Quantity, c.CampaignName, c.Undo = format, "q", "log", "c=C"
		c.Item = []string{"c", "i"}
		m, err := newMapper([]byte(header), c)
		if err != nil {
			return
		}
		var e event
		if m.mapRow([]byte(line), &e) != nil || e.kind == kindOther || e.kind == kindClick {
			return
		}
		if s := e.at / 1e9; s < 1 || s > math.MaxUint32 {
			t.Fatalf("time %d", e.at)
		}
		l := newEventLog(0)
		if err := l.count("log"); err != nil {
			t.Fatal(err)
		}
		l.add(&e)
		b := &bodies{log: l, source: "s", name: "n", advertiser: "a"}
		var got wireEvent
		if err := json.Unmarshal(b.appendEvent(nil, &l.rows[0]), &got); err != nil {
			t.Fatal(err)
		}
		user := got.User.EIDs[0].UIDs[0].ID
		if user != string(e.user) || user == "" || len(user) > 1024 || got.Item != string(e.item) || len(got.Item) > 128 || !utf8.ValidString(user) || got.At != e.at/1e9 {
			t.Fatalf("sent %+v of %q", got, line)
		}
		if e.kind != kindImpression {
			return
		}
		var d wireDecide
		if err := json.Unmarshal(b.appendDecide(nil, &l.rows[0]), &d); err != nil {
			t.Fatal(err)
		}
		if c := d.Candidates[0].Campaign; c != string(e.campaign) || !bytes.HasPrefix(e.campaign, []byte("log-")) || len(c) > 128 {
			t.Fatalf("campaign %q", c)
		}
	})
}
