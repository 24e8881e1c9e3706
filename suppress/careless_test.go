package suppress_test

import (
	"errors"
	"strings"
	"testing"

	"restraint/suppress"
)

// TestCarelessValues: what would become a member that nobody is, so that the
// customer is let through, is a rejected row instead.
func TestCarelessValues(t *testing.T) {
	for _, c := range []struct{ source, scheme, value, why string }{
		{"email_sha256", "google", "zoe@example.com;", "not an email address"},
		{"email_sha256", "google", "zoe@example.com;Zoe", "not an email address"},
		{"email_sha256", "uid2", "<zoe@example.com>", "not an email address"},
		{"email_sha256", "liveramp", "Zoe <zoe@example.com>", "not an email address"},
		{"email_sha256", "uid2", "mailto:zoe@example.com", "not an email address"},
		{"email_sha256", "google", "'zoe@example.com'", "not an email address"},
		{"email_sha256", "google", `="zoe@example.com"`, "not an email address"},
		{"email_sha256", "google", "zoe@example.com.", "not an email address"},
		{"email_sha256", "google", "zoe@example..com", "not an email address"},
		{"email_sha256", "meta", "zoe@example.com\u200b", "cannot be seen"},
		{"email_sha256", "google", "zoe\ufeff@example.com", "cannot be seen"},
		{"email_sha256", "google", "zo\u00adë@example.com", "cannot be seen"},
		{"phone_sha256", "google", "4.91711234567E12", "shortened number"},
		{"phone_sha256", "meta", "4,91711234567E12", "shortened number"},
		{"phone_sha256", "meta", "4.9171e+12", "shortened number"},
		{"phone_sha256", "google", "491711234567.00", "shortened number"},
		{"phone_sha256", "google", "491711234567,0", "shortened number"},
		{"phone_sha256", "google", "+1 650 555 0100 ext. 12", "not a phone number"},
		{"phone_sha256", "google", "0171 1234567", "country code"},
		{"phone_sha256", "google", "0049 171 1234567", "country code"},
		{"user.id", "", "u\ufeff1", "cannot be seen"},
		{"user.id", "", `"u1"`, "quotes"},
		{"user.id", "", `="00123"`, "quotes"},
		{"user.id", "", "4711,00", "shortened number"},

		{"email_sha256", "google", "zoe_1+x=y/z@sub-1.example.com", ""},
		{"email_sha256", "google", "zoë@bücher.example", ""},
		{"phone_sha256", "google", "+49.171.1234567", ""},
		{"phone_sha256", "google", "+49 (171) 123/45-67", ""},
		{"phone_sha256", "meta", "491711234567.", ""},
		{"user.id", "", "12e5", ""},
		{"user.id", "", "1.5", ""},
		{"user.id", "", "10.00.00", ""},
		{"user.id", "", "\u0645\u06cc\u200c\u062e", ""},
		{"user.id", "", `"`, ""},
		{"user.id", "", "=u1", ""},
	} {
		o := options(t.TempDir())
		o.MaxRejected = 1
		s := open(t, o)
		declare(t, s, suppress.Declaration{Name: "l", Sources: []string{c.source}})
		rep, err := s.Change("l", suppress.Add, strings.NewReader(c.value+"\n"), suppress.Import{Format: suppress.Plain, Normalize: c.scheme})
		switch {
		case err != nil || rep.Rows != 1:
			t.Errorf("%s %q: %+v, %v", c.source, c.value, rep, err)
		case c.why == "" && (rep.Keys != 1 || rep.Rejected != 0):
			t.Errorf("%s %q is not taken: %+v", c.source, c.value, rep)
		case c.why != "" && (rep.Keys != 0 || rep.Rejected != 1 || !strings.Contains(rep.RejectedSample[0].Detail, c.why)):
			t.Errorf("%s %q is taken for somebody: %+v", c.source, c.value, rep)
		}
	}
}

// TestNobody: a replacement that finds nobody in its lines is refused, unless that
// is said to be meant. A file with a header alone is a list of nobody.
func TestNobody(t *testing.T) {
	for _, c := range []struct {
		name, body string
		refused    bool
	}{
		{"an empty column beside the one with the addresses", "Email,Kundenmail\n,a@example.com\n,b@example.com\n", true},
		{"a column with what is preferred", "Mobile,Name\nmobile,Zoe\nphone,Anna\n", true},
		{"a header alone", "Email,Name\n", false},
	} {
		s := open(t, options(t.TempDir()))
		declare(t, s, suppress.Declaration{Name: "l", Sources: []string{"email_sha256", "phone_sha256"}})
		im := suppress.Import{Format: suppress.CSV, Normalize: "google"}
		rep, err := s.Replace("l", strings.NewReader(c.body), im)
		if c.refused != errors.Is(err, suppress.ErrColumn) || !c.refused && err != nil || strings.Contains(errorText(err), "example.com") {
			t.Errorf("%s: %+v, %v", c.name, rep, err)
		}
		im.DryRun = true
		if _, err := s.Replace("l", strings.NewReader(c.body), im); c.refused != errors.Is(err, suppress.ErrColumn) {
			t.Errorf("%s, dry run: %v", c.name, err)
		}
		im.DryRun, im.Force = false, true
		if rep, err := s.Replace("l", strings.NewReader(c.body), im); err != nil || rep.Keys != 0 {
			t.Errorf("%s, with force: %+v, %v", c.name, rep, err)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestLineEnds: a file whose lines end with CR alone is refused with that reason
// in every form, and nobody in it becomes a part of a column's name.
func TestLineEnds(t *testing.T) {
	rows := strings.Repeat("u1,Zoe\r", 20_000)
	for _, body := range []string{"user.id,Name\ru1,Zoe\ru2,Y\r", "user.id,Name\ru1,Zoe", "user.id,Name\r" + rows} {
		s := open(t, options(t.TempDir()))
		declare(t, s, suppress.Declaration{Name: "l", Sources: []string{"user.id"}})
		rep, err := s.Replace("l", strings.NewReader(body), suppress.Import{Format: suppress.CSV})
		if err == nil || !strings.Contains(err.Error(), "CR alone") || strings.Contains(err.Error(), "Zoe") || len(rep.Ignored) != 0 {
			t.Errorf("of %d bytes: %+v, %v", len(body), rep, err)
		}
	}
	s := open(t, options(t.TempDir()))
	declare(t, s, suppress.Declaration{Name: "l", Sources: []string{"user.id"}})
	rep, err := s.Replace("l", strings.NewReader("user.id,Name\r\r\nu1,Zoe\r\r\nu2,Y\r\r\n"), suppress.Import{Format: suppress.CSV})
	if err != nil || rep.Keys != 2 || rep.Rejected != 0 {
		t.Errorf("CR CR LF: %+v, %v", rep, err)
	}
}

// TestNoHeader: a person whose row has a word in it that is a column's name too is
// no header.
func TestNoHeader(t *testing.T) {
	for _, im := range []suppress.Import{{}, {Map: []suppress.Column{{Column: "email", Source: "email_sha256"}}}} {
		s := open(t, options(t.TempDir()))
		declare(t, s, suppress.Declaration{Name: "l", Sources: []string{"email_sha256"}})
		im.Format, im.Normalize = suppress.CSV, "google"
		for _, person := range []string{"zoe@example.com", hashA} {
			rep, err := s.Replace("l", strings.NewReader(person+",Zoe Doe,email\nanna@example.com,Anna,anna@example.com\n"), im)
			if !errors.Is(err, suppress.ErrColumn) || strings.Contains(err.Error(), "Zoe") || strings.Contains(err.Error(), person) || len(rep.Ignored) > 0 {
				t.Errorf("got %+v, %v", rep, err)
			}
		}
	}
}

// TestUTF16: told by what it is, with a mark and without.
func TestUTF16(t *testing.T) {
	for _, body := range []string{"\xff\xfeu\x001\x00", "\xfe\xff\x00u\x001", "u\x001\x00\n\x00", "\x00u\x001\x00\n"} {
		for _, format := range []string{suppress.CSV, suppress.NDJSON, suppress.Plain} {
			s := open(t, options(t.TempDir()))
			declare(t, s, suppress.Declaration{Name: "l", Sources: []string{"user.id"}})
			rep, err := s.Replace("l", strings.NewReader(body), suppress.Import{Format: format})
			if !errors.Is(err, suppress.ErrImport) || !strings.Contains(err.Error(), "UTF-16") {
				t.Errorf("%s %q: %+v, %v", format, body, rep, err)
			}
		}
	}
}

// TestNumberedRows: a first column called # is no comment.
func TestNumberedRows(t *testing.T) {
	s := open(t, options(t.TempDir()))
	declare(t, s, suppress.Declaration{Name: "l", Sources: []string{"email_sha256"}, Exact: true})
	rep, err := s.Replace("l", strings.NewReader("#,Email,Name\n1,"+hashA+",Zoe\n2,"+hashB+",Y\n"), suppress.Import{Format: suppress.CSV})
	if err != nil || rep.Keys != 2 || rep.Skipped != 0 || !has(t, s, "l", "email_sha256", hashA) {
		t.Errorf("got %+v, %v", rep, err)
	}
}
