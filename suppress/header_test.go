package suppress_test

import (
	"errors"
	"strings"
	"testing"

	"restraint/suppress"
)

// TestOnlyColumn: with id alone the first line of a CSV is a header only where
// it cannot be the first member.
func TestOnlyColumn(t *testing.T) {
	a := hexOf("a@example.com")
	for _, header := range []string{
		"user.id", "IFA", "Email", "E-Mail", "user_id", "userId", "USERID", "customer", "Customer No.", "id", "\"Email Address\"", "MobilePhone", "uid2",
	} {
		s := customerStore(t)
		rep, err := s.Replace("customers", strings.NewReader(header+"\nu1\nu2\n"), suppress.Import{Format: suppress.CSV, ID: "user.id"})
		if err != nil || rep.Keys != 2 {
			t.Errorf("header %q: %+v, %v", header, rep, err)
		}
	}
	for _, first := range []string{
		"anna-k", "anna", "u1", "4711", "whatever", "Kundennummer", "user17", "secret@example.com", a, "ID-77", "0", "-", "idanna", "id;mail", "id|x", `"id,mail"`, "anna\tk",
	} {
		s := customerStore(t)
		rep, err := s.Replace("customers", strings.NewReader(first+"\nu1\nu2\n"), suppress.Import{Format: suppress.CSV, ID: "user.id"})
		if !errors.Is(err, suppress.ErrColumn) || !strings.Contains(err.Error(), "column=") {
			t.Errorf("first line %q: %+v, %v", first, rep, err)
		}
		if err != nil && (strings.Contains(err.Error(), "anna") || strings.Contains(err.Error(), "secret")) {
			t.Errorf("an identifier is in %q", err)
		}
	}
	// What is no hash cannot be a member of a list of hashes, and is a header in
	// any language, unless it looks like a person.
	for first, ok := range map[string]bool{"Mailadresse": true, "whatever": true, "b@example.com": false, a: false, "0049171234567": false} {
		s := customerStore(t)
		rep, err := s.Replace("customers", strings.NewReader(first+"\n"+a+"\n"), suppress.Import{Format: suppress.CSV, ID: "email_sha256"})
		if (err == nil) != ok || ok && rep.Keys != 1 {
			t.Errorf("first line %q: %+v, %v", first, rep, err)
		}
	}
}

// TestColumnsShown: an error lists the columns of a header, and nothing of a row
// of people.
func TestColumnsShown(t *testing.T) {
	im := suppress.Import{Format: suppress.CSV, ID: "user.id", Column: "Ident"}
	for _, c := range []struct{ first, says, hides string }{
		{"email,Kundennummer,Straße,x1", `"email", "Kundennummer", "Straße", "x1", and none looks like one; if one is, write map=COLUMN:user.id (restraint push: --map "COLUMN=user.id")`, ""},
		{"anna-k,berlin", "2 cells and seems to hold no header", "anna"},
		{"anna,berlin,de", "3 cells and seems to hold no header", "anna"},
		{"anna;mail;b42", `it has "anna", "mail" and 1 more`, "b42"}, // a name of columns is there
		{"email,anna-k,b42c17," + strings.Repeat("anna", 11), `it has "email" and 3 more`, "anna"},
		{"email,secret@example.com", "no header", "secret"},
		{"id,4711222", "no header", "4711"},
	} {
		_, err := customerStore(t).Replace("customers", strings.NewReader(c.first+"\n"), im)
		if !errors.Is(err, suppress.ErrColumn) || !strings.Contains(err.Error(), c.says) || c.hides != "" && strings.Contains(err.Error(), c.hides) {
			t.Errorf("%q: %v", c.first, err)
		}
	}
}
