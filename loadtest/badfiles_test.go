package loadtest

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func gzipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestBadLogsSendNothing(t *testing.T) {
	var rows strings.Builder
	for range 10000 {
		rows.WriteString("1,u,a,x,view\n")
	}
	whole := gzipped(t, "t,u,c,i,k\n"+rows.String())
	for name, c := range map[string]struct {
		log  string
		want error
		says string
	}{
		"empty":              {"", ErrEmptyLog, "empty"},
		"header only":        {"t,u,c,i,k\n", ErrEmptyLog, "no rows"},
		"no row readable":    {"t,u,c,i,k\nyesterday,u,a,x,view\n", ErrEmptyLog, `line 2: time \"yesterday\"`},
		"missing column":     {"when,u,c,i,k\n1,u,a,x,view\n", ErrColumn, "no column \"t\" (name the right one with --time-column); the log's columns are: when, u, c, i, k"},
		"column twice":       {"t,u,c,i,k,u\n1,u,a,x,view,v\n", ErrColumn, "twice"},
		"not text":           {"PAR1\x00\x00\x01\n", ErrColumn, "not text"},
		"endless header":     {strings.Repeat("h", 1<<20), ErrColumn, "over"},
		"gzip cut in rows":   {whole[:len(whole)/2], ErrCutShort, "ends early"},
		"gzip cut at end":    {whole[:len(whole)-4], ErrCutShort, "ends early"},
		"gzip cut in header": {whole[:5], io.ErrUnexpectedEOF, "gzip"},
		"too many rows":      {"t,u,c,i,k\n" + rows.String(), ErrTooManyRows, "9000"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeNode(t)
			o := options(f, c.log)
			o.MaxRows = 9000
			if strings.HasPrefix(name, "gzip") {
				o.MaxRows = 0
			}
			_, err := Replay(t.Context(), o)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), strings.ReplaceAll(c.says, `\"`, `"`)) {
				t.Errorf("got %v, want %v saying %q", err, c.want, c.says)
			}
			if f.decided+f.events > 0 {
				t.Errorf("%d decisions and %d events were sent", f.decided, f.events)
			}
		})
	}
}

func TestBadRowsAreCountedAndSampled(t *testing.T) {
	f := newFakeNode(t)
	long := strings.Repeat("x", 10<<20)
	s := mustReplay(t, options(f, "\xef\xbb\xbft,u,c,i,k\r\n"+
		"1,u,a,x,view\r\n"+
		"soon,u,a,x,view\n"+ // line 3
		"-5,u,a,x,view\n"+
		"99999999999,u,a,x,view\n"+
		"2,u,a,x\x00y,view\n"+
		"2,"+long+",a,x,view\n"+ // line 7
		"2,u,a,x\n"+
		"2,,a,x,view\n"+
		"2,u,,x,view\n"+
		"2,u,a,\"x,view\n"+ // line 11
		"2,u,a,\"x\"y,view\n"+
		"2,u,a,\xff,view\n"+
		"2,u,a,"+strings.Repeat("i", 129)+",view\n"+
		"2,"+strings.Repeat("u", 2000)+",a,x,view\n"+
		"\n"+
		"3,u,a,\"x,\"\"y\"\"\",view"))
	if s.Impressions != 2 || s.Rejected.Rows != 13 || s.Files[0].Rows != 15 {
		t.Errorf("%d impressions, %d rejected of %+v", s.Impressions, s.Rejected.Rows, s.Files)
	}
	for reason, want := range map[string]int{
		"time": 3, "NUL byte": 1, "line too long": 1, "number of fields": 1, "no user": 1, "no campaign": 1, "quoting": 2, "not UTF-8": 1, "item too long": 1, "user too long": 1,
	} {
		if got := s.Rejected.ByReason[reason]; got != want {
			t.Errorf("%s: %d, want %d", reason, got, want)
		}
	}
	if s.Rejected.Sample[0].Line != 3 || s.Rejected.Sample[4].Line != 7 || len(s.Rejected.Sample) != maxSampled {
		t.Errorf("sample %+v", s.Rejected.Sample)
	}
	if got := f.decisions[1].Candidates[0].Item; got != `x,"y"` {
		t.Errorf("item %q", got)
	}
}

func TestJourneyNeedsItsTables(t *testing.T) {
	f := newFakeNode(t)
	path := filepath.Join(t.TempDir(), "my_transactions.csv")
	if err := os.WriteFile(path, []byte("household_id,product_id,quantity,transaction_timestamp\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := ReplayOptions{Addr: f.addr(), Path: path, Preset: "completejourney"}
	if _, err := Replay(t.Context(), o); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "my_campaigns.csv") {
		t.Errorf("got %v", err)
	}
	o.Path = filepath.Join(filepath.Dir(path), "other.csv")
	if _, err := Replay(t.Context(), o); err == nil || !strings.Contains(err.Error(), "transactions") {
		t.Errorf("got %v", err)
	}
}

// Wrong options are found without a node and without a log, all at once.
func TestWrongOptions(t *testing.T) {
	right := ReplayOptions{Log: strings.NewReader(""), Columns: plain}
	if err := right.Validate(); err != nil {
		t.Errorf("the right options: %v", err)
	}
	for _, c := range []struct {
		change func(*ReplayOptions)
		says   []string
	}{
		{func(o *ReplayOptions) { o.Columns = Columns{} }, []string{"--time-column=NAME", "--user-column=NAME", "--campaign-column=NAME"}},
		{func(o *ReplayOptions) { o.Columns.TimeFormat = "soon" }, []string{`--time-format="soon"`}},
		{func(o *ReplayOptions) { o.Columns.TimeZone = "Mars" }, []string{`--time-zone="Mars"`}},
		{func(o *ReplayOptions) { o.Workers, o.Window, o.First = 257, -1, -2 }, []string{"--workers=257", "--window=-1", "--first=-2"}},
		{func(o *ReplayOptions) { o.Run, o.Source = strings.Repeat("r", 65), strings.Repeat("s", 129) }, []string{"--run=", "--source="}},
		{func(o *ReplayOptions) { o.Preset = "none" }, []string{`"none" is not known`}},
		{func(o *ReplayOptions) { o.Log = nil }, []string{"no log"}},
	} {
		o := right
		c.change(&o)
		err := o.Validate()
		for _, says := range c.says {
			if !errors.Is(err, ErrOptions) || !strings.Contains(err.Error(), says) {
				t.Errorf("got %v, want %v saying %q", err, ErrOptions, says)
			}
		}
		if _, again := Replay(t.Context(), o); again == nil || again.Error() != err.Error() {
			t.Errorf("Replay says %v", again)
		}
	}
}
