package suppress_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"restraint/suppress"
)

// rowsWithQuote is 1000 rows of id,Email,note; row 100 and row 400 hold a stray
// quote, which join the 301 rows into one.
func rowsWithQuote(opens, closes string) string {
	var b strings.Builder
	b.WriteString("id,Email,note\n")
	for n := range 1000 {
		note := "x"
		switch n {
		case 100:
			note = opens
		case 400:
			note = closes
		}
		fmt.Fprintf(&b, "u%d,%s,%s\n", n, hexOf(fmt.Sprint(n)), note)
	}
	return b.String()
}

var idAndMail = suppress.Import{Format: suppress.CSV, Map: []suppress.Column{{Column: "Email", Source: "email_sha256"}, {Column: "id", Source: "user.id"}}}

// TestOpenQuote: rows that a stray quote hides are rejected rows, each of them,
// and their people are members all the same; nobody is removed for them.
func TestOpenQuote(t *testing.T) {
	for name, body := range map[string]string{
		"reads as one row":          rowsWithQuote(`"`, `"`),
		"something after the quote": rowsWithQuote(`"`, `"y"`),
		"a quoted cell between":     rowsWithQuote(`"inch`, `"a"`),
		"text":                      rowsWithQuote(`"an inch`, `19"`),
	} {
		t.Run(name, func(t *testing.T) {
			s := customerStore(t)
			rep, err := s.Replace("customers", strings.NewReader(body), idAndMail)
			if err != nil || rep.Rejected != 301 || rep.Empty != 0 {
				t.Fatalf("got %+v, %v", rep, err)
			}
			if first := rep.RejectedSample[1]; first.Line != 103 || !strings.Contains(first.Detail, "line 102") {
				t.Errorf("got %+v", first)
			}
			for n := range 1000 {
				if !has(t, s, "customers", "user.id", fmt.Sprint("u", n)) || !has(t, s, "customers", "email_sha256", hexOf(fmt.Sprint(n))) {
					t.Fatalf("row %d is let through", n)
				}
			}
			if _, err := s.Change("customers", suppress.Remove, strings.NewReader(body), idAndMail); err != nil {
				t.Fatal(err)
			}
			for n := 100; n <= 400; n++ {
				if !has(t, s, "customers", "user.id", fmt.Sprint("u", n)) {
					t.Fatalf("row %d was removed on a guess", n)
				}
			}
			strict := open(t, options(t.TempDir()))
			declare(t, strict, customers)
			if _, err := strict.Replace("customers", strings.NewReader(body), idAndMail); !errors.Is(err, suppress.ErrRejected) {
				t.Errorf("a third of the rows is hidden: %v", err)
			}
		})
	}
}

// TestOpenQuoteOfID: the quote stands before the identifier itself.
func TestOpenQuoteOfID(t *testing.T) {
	s := customerStore(t)
	rep, err := s.Replace("customers", strings.NewReader("id,note\n\"u1,x\nu2,x\nu3,\"\nu4,x\nu5,x\nu6,x\n"), suppress.Import{Format: suppress.CSV, ID: "user.id", Column: "id"})
	if err != nil || rep.Rejected != 3 {
		t.Fatalf("got %+v, %v", rep, err)
	}
	for _, id := range []string{"u1", "u2", "u3", "u4"} {
		if !has(t, s, "customers", "user.id", id) {
			t.Errorf("%s is let through", id)
		}
	}
}

// TestEmbeddedLines: cells that do have line ends in them are no fault.
func TestEmbeddedLines(t *testing.T) {
	a := hexOf("a@example.com")
	for _, body := range []string{
		"id,Email,note\nu1," + a + ",\"Dear all,\nthanks, and bye,\n\nAnna\"\n",
		"id,note,Email\nu1,\"Main St 1, Apt 2\nSpringfield, IL\"," + a + "\n",
		"id,note,Email\nu1,\"Main St 1\nSpringfield\"," + a + "\n",
		"note,id,Email\n\"1,2,3\n4,5,6\n7,8,9\",u1," + a + "\n",
		"Email,note,id\r\n" + a + ",\"a\r\nb,c\r\nd\",u1\r\n",
		"id;Email;note\nu1;" + a + ";\"a\nb\"\"c\"\"\nd\"\n",
	} {
		s := customerStore(t)
		rep, err := s.Replace("customers", strings.NewReader(body), idAndMail)
		if err != nil || rep.Rejected != 0 || rep.Keys != 2 || !has(t, s, "customers", "user.id", "u1") {
			t.Errorf("%q: %+v, %v", body, rep, err)
		}
	}
}
