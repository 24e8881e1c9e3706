package suppress_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"restraint/suppress"
)

const headersPath = "../../shared/data/crm/headers.json"

// crmExport is the header of a real export.
type crmExport struct {
	Name, Header, Delimiter string
	Quirks                  []string
	Expected                *struct {
		DataRows     int      `json:"data_rows"`
		EmailColumns []string `json:"email_columns"`
		Emails       []struct {
			Row       int
			Email     string
			SHA256Hex string `json:"sha256_hex"`
		}
	}
}

// separators of the export as the tests try them.
func (e *crmExport) separators() []string {
	if strings.Contains(e.Delimiter, "pipe") {
		return []string{"|", ",", "\t"}
	}
	return []string{e.Delimiter}
}

// body is a file as the export is: its quirks before, in and after its rows. The
// emails stand in the email columns of their rows, from the left.
func (e *crmExport) body(sep string) string {
	names := strings.Split(e.Header, e.separators()[0])
	if e.separators()[0] == "|" {
		names = strings.Split(e.Header, ",")
	}
	quirk := func(text string) bool {
		return slices.ContainsFunc(e.Quirks, func(q string) bool { return strings.Contains(q, text) })
	}
	end := "\n"
	var b strings.Builder
	if quirk("BOM") {
		b.WriteString("\xef\xbb\xbf")
	}
	if quirk("CRLF") {
		end = "\r\n"
	}
	if quirk("explanatory lines") {
		b.WriteString("# Fill in one person a row, with as many emails as you know" + end + "#,remove these lines" + end)
	}
	b.WriteString(strings.Join(names, sep) + end)
	rows := 1
	if e.Expected != nil {
		rows = e.Expected.DataRows
	}
	for row := range rows {
		var emails []string
		if e.Expected != nil {
			for _, m := range e.Expected.Emails {
				if m.Row == row+2 {
					emails = append(emails, m.Email)
				}
			}
		} else {
			emails = []string{fmt.Sprintf("person%d@example.com", row)}
		}
		cells := make([]string, len(names))
		for n, name := range names {
			plain := strings.ToLower(strings.Trim(name, `"`))
			switch {
			case plain == "email" || plain == "email address" || plain == "channels.email.address":
				if len(emails) > 0 {
					cells[n], emails = emails[0], emails[1:]
				}
			case plain == "phone":
				cells[n] = fmt.Sprintf("1 (650) 555-01%02d", n)
			case plain == "madid":
				cells[n] = "AB1234CD-E123-12FG-J123-00000000000" + fmt.Sprint(row)
			case plain == "zip":
				cells[n] = "94 025"
			case plain == "description":
				cells[n] = `"He said ""yes` + sep + `""` + end + `on two lines"`
			case strings.Contains(plain, "name"):
				cells[n] = "Zoë"
			case strings.HasSuffix(plain, "subscribestatus"):
				cells[n] = "unsubscribed"
			case strings.HasPrefix(plain, "opt"):
				cells[n] = `"2012-06-07 09:30:08"`
			}
		}
		b.WriteString(strings.Join(cells, sep) + end)
	}
	return b.String()
}

// TestExports: the columns of every real header are found by themselves, or the
// error says what to write, and nobody's address is lost.
func TestExports(t *testing.T) {
	b, err := os.ReadFile(headersPath)
	if err != nil {
		t.Skipf("no real headers: %v", err)
	}
	var exports []crmExport
	if err := json.Unmarshal(b, &exports); err != nil {
		t.Fatal(err)
	}
	if len(exports) != 10 {
		t.Errorf("%d exports, want 10: say what the new ones are", len(exports))
	}
	for _, e := range exports {
		for _, sep := range e.separators() {
			for _, scheme := range []string{suppress.SchemeMeta, suppress.SchemeGoogle} {
				t.Run(fmt.Sprintf("%s/%q/%s", e.Name, sep, scheme), func(t *testing.T) { checkExport(t, e, sep, scheme) })
			}
		}
	}
}

func checkExport(t *testing.T, e crmExport, sep, scheme string) {
	s := open(t, options(t.TempDir()))
	declare(t, s, suppress.Declaration{Name: "customers", Sources: []string{"email_sha256", "phone_sha256", "ifa", "user.id"}, Exact: true})
	body := e.body(sep)
	rep, err := s.Replace("customers", strings.NewReader(body), suppress.Import{Format: suppress.CSV, Normalize: scheme})
	if e.Name == "salesforce_bulk_semicolon" || e.Name == "liveramp_pii_file" { // no identifiers at all
		if !errors.Is(err, suppress.ErrColumn) || !strings.Contains(err.Error(), "FirstName") && !strings.Contains(err.Error(), `"FIRSTNAME", "LASTNAME"`) ||
			!strings.Contains(err.Error(), `--map "COLUMN=email_sha256"`) || strings.Contains(err.Error(), "Zoë") {
			t.Errorf("got %+v, %v", rep, err)
		}
		return
	}
	rows, emails := 1, []string{hexOf("person0@example.com")}
	if e.Expected != nil {
		rows, emails = e.Expected.DataRows, nil
		for _, m := range e.Expected.Emails {
			emails = append(emails, m.SHA256Hex)
		}
	}
	if err != nil || rep.Rows != uint64(rows) || rep.Rejected != 0 {
		t.Fatalf("of\n%s\ngot %+v, %v", body, rep, err)
	}
	different := make(map[string]bool)
	for _, hash := range emails {
		different[hash] = true
		if !has(t, s, "customers", "email_sha256", hash) {
			t.Errorf("%s is let through", hash)
		}
	}
	// Beside the emails: the phone of each column, which is the same in all rows,
	// and a device for each row.
	phones, devices := strings.Count(strings.ToLower(e.Header), "phone"), 0
	if strings.Contains(e.Header, "madid") {
		devices = rows
		if !has(t, s, "customers", "ifa", "ab1234cd-e123-12fg-j123-000000000000") {
			t.Error("a device is let through")
		}
	}
	if rep.Keys != uint64(len(different)+phones+devices) {
		t.Errorf("%d members, want %d emails, %d phones, %d devices: %+v", rep.Keys, len(different), phones, devices, rep)
	}
	if want := uint64(strings.Count(body, "#")); rep.Skipped != want {
		t.Errorf("%d lines were skipped, want %d", rep.Skipped, want)
	}
	// Hashed under the same header, without a scheme, and by their source's name.
	for _, m := range rep.Columns {
		if m.Source == "email_sha256" {
			hashed := m.Column + sep + "note" + "\n" + strings.ToUpper(emails[0]) + sep + "x\n"
			rep, err := s.Change("customers", suppress.Add, strings.NewReader(hashed), suppress.Import{Format: suppress.CSV})
			if err != nil || rep.Keys != 1 || rep.Rejected != 0 || len(rep.Ignored) != 1 {
				t.Errorf("%q: %+v, %v", hashed, rep, err)
			}
		}
	}
}

// TestRecognised is what vendors call their columns, and what must not be taken.
func TestRecognised(t *testing.T) {
	all := []string{"email_sha256", "phone_sha256", "ifa", "user.id"}
	for name, want := range map[string]string{
		"Email": "email_sha256", "E-mail": "email_sha256", "EMAIL": "email_sha256", "Email Address": "email_sha256", "emailAddress": "email_sha256",
		"email_address_2": "email_sha256", "EMAIL1": "email_sha256", "Email 2": "email_sha256", "PersonEmail": "email_sha256", "Work email": "email_sha256",
		"channels.email.address": "email_sha256", "properties.email": "email_sha256", "SHA256EMAIL": "email_sha256", "Hashed Email": "email_sha256",
		"email_sha256": "email_sha256", "Email (SHA-256)": "email_sha256", "Customer Email": "email_sha256", "mail": "email_sha256", "Billing Email": "email_sha256",
		"Phone": "phone_sha256", "Phone Number": "phone_sha256", "PHONE3": "phone_sha256", "Mobile Phone Number": "phone_sha256", "MobilePhone": "phone_sha256",
		"Default Address Phone": "phone_sha256", "Home Phone": "phone_sha256", "phone_sha256": "phone_sha256",
		"madid": "ifa", "MAID": "ifa", "Mobile Device ID": "ifa", "Advertising ID": "ifa", "idfa": "ifa", "IFA": "ifa", "user.id": "user.id", "USER.ID": "user.id",

		"Email Status": "", "Email Opt In": "", "Email Marketing Consent": "", "channels.email.subscribeStatus": "", "emailDomain": "", "HasOptedOutOfEmail": "",
		"Contact owner email": "", "Sales Rep Email": "", "Emails Sent": "", "Last Email Date": "", "Email ID": "", "md5 email": "", "email_md5": "",
		"Phone Extension": "", "Phone Country Code": "", "Do Not Call Phone": "", "Email or Phone": "", "Fax": "", "Number": "", "Address": "", "address1": "",
		"id": "", "uid": "", "Customer ID": "", "LEID": "", "Device": "", "": "", "1": "", strings.Repeat("email", 30): "",
	} {
		s := open(t, options(t.TempDir()))
		declare(t, s, suppress.Declaration{Name: "l", Sources: all})
		rep, err := s.Replace("l", strings.NewReader("x,"+name+"\n"), suppress.Import{Format: suppress.CSV, DryRun: true})
		switch {
		case want == "" && !errors.Is(err, suppress.ErrColumn):
			t.Errorf("%q: %+v, %v", name, rep, err)
		case want != "" && (err != nil || len(rep.Columns) != 1 || rep.Columns[0] != suppress.ReadColumn{Column: name, Source: want}):
			t.Errorf("%q: %+v, %v", name, rep.Columns, err)
		}
	}
}

// TestRecognisedBeside: which columns are taken where several could be.
func TestRecognisedBeside(t *testing.T) {
	a, b := hexOf("a@example.com"), hexOf("b@example.com")
	md5 := "0123456789abcdef0123456789abcdef"
	for _, c := range []struct {
		name, body, scheme string
		sources            string
		keys, rejected     uint64
		says               string
	}{
		{"raw beside its hash", "Email,email_sha256\na@example.com," + a + "\n", "", "email_sha256", 1, 0, ""},
		{"raw beside its hash, with a scheme", "Email,email_sha256\nb@example.com," + a + "\n", "meta", "email_sha256", 2, 0, ""},
		{"hashes, some raw", "Email\n" + a + "\nb@example.com\n" + b + "\n", "", "email_sha256", 2, 1, ""},
		{"hashes, some raw, with a scheme", "Email\n" + a + "\nb@example.com\n" + b + "\n", "meta", "email_sha256", 2, 0, ""},
		{"one of two hashes is named", "Email,email_md5\na@example.com," + md5 + "\n", "meta", "email_sha256 email_md5", 2, 0, ""},
		{"a device that has none", "madid,Email\n00000000-0000-0000-0000-000000000000," + a + "\n", "meta", "email_sha256 ifa", 1, 0, ""},
		{"no source of the kind", "Phone,Name\n1,x\n", "meta", "email_sha256", 0, 0, "no column is known"},
		{"two hashes of one kind", "Email\n" + a + "\n", "", "email_sha256 email_md5", 0, 0, `column "Email" may be of any of ["email_sha256" "email_md5"]; write map=Email:email_sha256`},
		{"two hashes, each named", "SHA256 Email,MD5 Email\n" + a + "," + md5 + "\n", "", "email_sha256 email_md5", 2, 0, ""},
		{"a source that takes any text", "Email Address\na@example.com\n", "", "email", 0, 0, `write map=Email Address:email (restraint push: --map "Email Address=email")`},
		{"likely", "Kunden-Mail\na@example.com\n", "meta", "email_sha256", 0, 0, "seems to hold no header"},
		{"likely, with a name that is known", "Kundenmail;Name\na@example.com;x\n", "meta", "email_sha256", 0, 0, `write map=Kundenmail:email_sha256`},
		{"likely user", "Kunden_ID;Name\n4711;x\n", "", "user.id", 0, 0, `write map=Kunden_ID:user.id`},
		{"phone with the exponent of a spreadsheet", "Phone,Email\n1.23E+10," + a + "\n", "meta", "email_sha256 phone_sha256", 1, 1, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := options(t.TempDir())
			o.MaxRejected = 1
			s := open(t, o)
			declare(t, s, suppress.Declaration{Name: "l", Sources: strings.Fields(c.sources)})
			rep, err := s.Replace("l", strings.NewReader(c.body), suppress.Import{Format: suppress.CSV, Normalize: c.scheme})
			if c.says != "" {
				if !errors.Is(err, suppress.ErrColumn) || !strings.Contains(err.Error(), c.says) {
					t.Fatalf("got %+v, %v", rep, err)
				}
				return
			}
			if err != nil || rep.Keys != c.keys || rep.Rejected != c.rejected {
				t.Fatalf("got %+v, %v", rep, err)
			}
		})
	}
}

// TestHopeless: a file of raw addresses without a scheme ends soon, and says what
// is missing.
func TestHopeless(t *testing.T) {
	s := open(t, options(t.TempDir()))
	declare(t, s, suppress.Declaration{Name: "l", Sources: []string{"email_sha256"}})
	rep, err := s.Replace("l", strings.NewReader("Email\n"+strings.Repeat("secret@example.com\n", 50_000)), suppress.Import{Format: suppress.CSV})
	if !errors.Is(err, suppress.ErrRejected) || rep.Rows != 10_000 || rep.Rejected != 10_000 ||
		!strings.Contains(err.Error(), "name its scheme with normalize") || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %+v, %v", rep, err)
	}
}
