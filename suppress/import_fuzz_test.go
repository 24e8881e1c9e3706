package suppress

import (
	"bytes"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// importOf runs an import and gives its keys, in their order.
func importOf(t *testing.T, decl Declaration, im Import, body string) ([]Key, Report, error) {
	t.Helper()
	o := Options{
		Hash: func(source string, id []byte) Key { return sha256Key(append([]byte(source+" "), id...)) },
		Item: func(_ string, item []byte) uint64 { return uint64(len(item)) }, Now: time.Now, MaxRejected: 1,
		Limits: Limits{CompressedBytes: 1 << 20, Bytes: 1 << 20, Ratio: 250, RowBytes: 64 << 10, Time: time.Hour},
	}
	var keys []Key
	rep := Report{}
	i := importer{
		list: decl.Name, decl: decl, im: im, o: &o, rep: &rep, done: new(work),
		add: func(k Key) error { keys = append(keys, k); return nil },
	}
	err := i.run(strings.NewReader(body))
	if uint64(len(keys)) == 0 && rep.Rows > 0 && rep.Rejected == 0 && rep.Empty == 0 && err == nil {
		t.Errorf("%q: %d rows are neither members, nor rejected, nor empty", body, rep.Rows)
	}
	return keys, rep, err
}

// checkError holds every error of an import to one that a caller can act on.
func checkError(t *testing.T, body string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	for _, known := range []error{ErrImport, ErrColumn, ErrSource, ErrTruncated, ErrRowTooLong, ErrTooLarge, ErrRejected, ErrCorrupt, ErrExpanded} {
		if errors.Is(err, known) {
			return
		}
	}
	t.Errorf("%q: %v", body, err)
}

// FuzzCSV: what encoding/csv reads as rows, each of them with the header's number
// of cells, is read as the same rows.
func FuzzCSV(f *testing.F) {
	for _, s := range []string{
		"id,x\nu1,y\n", "id,x\n\"u\"\"1\",\"y\nz\"\n\nu2,\n", "id,x\r\nu1,\"a\r\nb\"\r\n", "x,id\n\"\",u1\n\" \",\"\"\n", "id,x\n#u1,\nid,x\nTotal: 3,1\n", "id,x\na\"b,c\n",
	} {
		f.Add(s)
	}
	decl := Declaration{Name: "l", Sources: []string{"id"}}
	f.Fuzz(func(t *testing.T, body string) {
		keys, rep, err := importOf(t, decl, Import{Format: CSV, ID: "id", Column: "id"}, body)
		checkError(t, body, err)
		reader := csv.NewReader(strings.NewReader(strings.TrimPrefix(body, "\xef\xbb\xbf")))
		rows, csvErr := reader.ReadAll()
		// What differs on purpose: notes, other separators, rows that a stray quote
		// joined, line ends in cells that are identifiers.
		if err != nil || csvErr != nil || rep.Skipped > 0 || rep.Rejected > 0 || len(rows) == 0 || strings.ContainsAny(body, ";\t|#") || strings.Contains(body, "\r\r") {
			return
		}
		at := find(rows[0], "id")
		if len(at) == 0 {
			for n, name := range rows[0] {
				if strings.EqualFold(strings.TrimSpace(name), "id") {
					at = append(at, n)
				}
			}
		}
		var want []Key
		for _, row := range rows[1:] {
			for _, n := range at {
				if id := strings.TrimSpace(row[n]); id != "" {
					want = append(want, sha256Key([]byte("id "+id)))
				}
			}
		}
		if !reflect.DeepEqual(keys, want) {
			t.Fatalf("%q: %d members, encoding/csv has %d: %q", body, len(keys), len(want), rows)
		}
	})
}

// FuzzHeader: no first row is too odd to be refused, no row is in a report twice,
// and what is said of columns never holds an address.
func FuzzHeader(f *testing.F) {
	for _, s := range []string{
		"Email,Phone,madid", "# x\nsep=;\nE-Mail;user.id", "SHA256EMAIL|Email 2\tphone", "anna@example.com;x", "title of it\nEmail,Email", "\"Email\nx\",y", "channels.email.address,É",
	} {
		f.Add(s, "meta")
	}
	decl := Declaration{Name: "l", Sources: []string{"email_sha256", "phone_sha256", "ifa", "user.id"}}
	f.Fuzz(func(t *testing.T, head, scheme string) {
		body := head + "\na@example.com,4917112345678,u3\n"
		_, rep, err := importOf(t, decl, Import{Format: CSV, Normalize: scheme}, body)
		checkError(t, body, err)
		said := strings.Join(rep.Ignored, " ")
		for _, c := range rep.Columns {
			said += c.Column
		}
		if err != nil && !strings.Contains(scheme, "@") {
			said += err.Error()
		}
		if strings.Contains(said, "@") {
			t.Errorf("%q: an address is in %q", body, said)
		}
	})
}

// FuzzNDJSON: a row is a member, rejected or empty, whatever is in it.
func FuzzNDJSON(f *testing.F) {
	for _, s := range []string{
		`{"id":"u1"}`, `{"ID":["a",1,null,[2]],"x":{"y":3}}`, "{\"Email\":\"a@b.c\"}\n{\"email_sha256\":\"x\"}\n\n[]\n", `{"x":{"y":["q"]}}`, `{"id":"\ud800"}`,
	} {
		f.Add(s, "x.y")
	}
	decl := Declaration{Name: "l", Sources: []string{"email_sha256", "id"}}
	f.Fuzz(func(t *testing.T, body, column string) {
		_, _, err := importOf(t, decl, Import{Format: NDJSON, Normalize: SchemeMeta}, body)
		checkError(t, body, err)
		_, _, err = importOf(t, decl, Import{Format: NDJSON, ID: "id", Column: column}, body)
		checkError(t, body, err)
	})
}

// FuzzNormalize: an identifier of a hashed source becomes as many lower-case digits
// as its hash has, or nothing; what has become so stays so; a plain text of upper
// and lower case is one address.
func FuzzNormalize(f *testing.F) {
	for _, s := range []string{"A.b+c@GMail.com", hashOfNothing, strings.ToUpper(sha256Hex("a")), "1.23E+10", "+49 171 1234567", "d41d8cd98f00b204e9800998ecf8427f", "0xab", "É@example.com"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, id string) {
		for _, source := range []string{"email_sha256", "phone_sha256", "phone_sha1", "email_md5", "ifa", "user.id"} {
			for _, scheme := range Schemes() {
				got, err := normalize([]byte("x"), scheme, source, []byte(id))
				if got[0] != 'x' || err != nil && len(got) != 1 || err == nil && len(got) == 1 {
					t.Fatalf("%s %s %q: %q, %v", scheme, source, id, got, err)
				}
				if err != nil {
					continue
				}
				again, err := normalize(nil, scheme, source, got[1:])
				if err != nil || !bytes.Equal(again, got[1:]) {
					t.Fatalf("%s %s %q: %q, and of that %q, %v", scheme, source, id, got, again, err)
				}
				if d := digestOf(source); d != nil {
					if raw, err := hex.DecodeString(string(got[1:])); err != nil || len(raw) != d.size || strings.ToLower(string(got)) != string(got) {
						t.Fatalf("%s %s %q: %q", scheme, source, id, got)
					}
				}
			}
		}
		canonical, err := Canonical(nil, "user.id", []byte(id))
		if err == nil && (len(canonical) == 0 || !utf8.Valid(canonical)) {
			t.Fatalf("%q: %q", id, canonical)
		}
	})
}

// FuzzHex: eight digits at a time are what encoding/hex says of them.
func FuzzHex(f *testing.F) {
	f.Add([]byte("0123456789abcdefABCDEF/:@G`g\x80\xb0"))
	f.Fuzz(func(t *testing.T, id []byte) {
		id = id[:len(id)/8*8]
		got, ok := appendHex(nil, id)
		raw, err := hex.DecodeString(string(id))
		if ok != (err == nil) || ok && string(got) != hex.EncodeToString(raw) {
			t.Fatalf("%q: %q, %v, %v", id, got, ok, err)
		}
	})
}

// FuzzNotes: whatever stands before the header and between rows, a row that is not
// rejected is a member.
func FuzzNotes(f *testing.F) {
	for _, s := range []string{"# x", "Title of it", "Email,Name", "Total: 3,", "sep=;", "\n\nCopyright (c) 2026", "#", "user.id,Name", "a|b;c\td", "email_sha256", "user.id"} {
		f.Add(s, s)
		f.Add("", s)
	}
	a, b := sha256Hex("a"), sha256Hex("b")
	f.Fuzz(func(t *testing.T, before, between string) {
		// A quote may hold rows; and it is to be no other kind of file.
		if strings.Contains(before+between, `"`) || len(before) > 0 && strings.IndexByte("\xfe\xff\x1f\x28P\xef", before[0]) >= 0 {
			return
		}
		for _, c := range [][4]string{{"email_sha256", "Email,Name", a, b}, {"user.id", "user.id,Name", "u1", "u2"}} {
			body := before + "\n" + c[1] + "\n" + c[2] + ",x\n" + between + "\n" + c[3] + ",y\n"
			keys, rep, err := importOf(t, Declaration{Name: "l", Sources: []string{c[0]}}, Import{Format: CSV}, body)
			checkError(t, body, err)
			if err != nil || rep.Rejected > 0 {
				continue
			}
			for _, id := range c[2:] {
				if !slices.Contains(keys, sha256Key([]byte(c[0]+" "+id))) {
					t.Errorf("%q: %s is no member: %+v", body, id, rep)
				}
			}
		}
	})
}
