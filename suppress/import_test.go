package suppress_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"restraint/suppress"
)

func hexOf(email string) string {
	sum := sha256.Sum256([]byte(email))
	return hex.EncodeToString(sum[:])
}

func base64Of(email string) string {
	sum := sha256.Sum256([]byte(email))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// has asks with the canonical form, as the bid path does.
func has(t *testing.T, s *suppress.Store, list, source, id string) bool {
	t.Helper()
	canonical, err := suppress.Canonical(nil, source, []byte(id))
	if err != nil {
		t.Fatal(err)
	}
	var p suppress.Probe
	p.Reset(testHash(source, canonical))
	v := s.View()
	return v.Contains(v.List(list), &p, 0)
}

var customers = suppress.Declaration{Name: "customers", Sources: []string{"email_sha256", "user.id", "ifa"}, Exact: true}

func customerStore(t *testing.T) *suppress.Store {
	o := options(t.TempDir())
	o.MaxRejected = 0.5
	s := open(t, o)
	declare(t, s, customers)
	return s
}

var hashA, hashB = hexOf("a@example.com"), hexOf("b@example.com")

// csvCases are files and what they come to.
var csvCases = []struct {
	name, body string
	im         suppress.Import
	members    [][2]string
	keys       uint64
	empty, bad uint64
	detail     string
}{
	{
		name: "comma", body: "id,Email\nu1," + hashA + "\nu2,\n", im: idAndMail,
		members: [][2]string{{"user.id", "u1"}, {"user.id", "u2"}, {"email_sha256", hashA}}, keys: 3, empty: 1,
	},
	{
		name: "BOM, semicolon, CRLF", body: "\xef\xbb\xbfEmail;name;id\r\n" + hashA + ";x,y;u1\r\n", im: idAndMail,
		members: [][2]string{{"user.id", "u1"}, {"email_sha256", hashA}}, keys: 2,
	},
	{
		name: "tab, quotes, line end in a cell", body: "id\tnote\tEmail\n\"u\"\"1\"\t\"two\n\nlines\t\"\t" + strings.ToUpper(hashA) + "\n", im: idAndMail,
		members: [][2]string{{"user.id", `u"1`}, {"email_sha256", hashA}}, keys: 2,
	},
	{
		name: "pipe", body: "id|Email\nu1|" + hashA + "\n", im: idAndMail,
		members: [][2]string{{"user.id", "u1"}, {"email_sha256", hashA}}, keys: 2,
	},
	{
		name: "repeated header, one map", body: "Email,Email,id\n" + hashA + "," + base64Of("b@example.com") + ",\n", im: idAndMail,
		members: [][2]string{{"email_sha256", hashA}, {"email_sha256", hashB}}, keys: 2, empty: 1,
	},
	{
		name: "repeated header, a map for each", body: "key,key\nu1,dev-1\n",
		im:      suppress.Import{Map: []suppress.Column{{Column: "key", Source: "user.id"}, {Column: "key", Source: "ifa"}}},
		members: [][2]string{{"user.id", "u1"}, {"ifa", "dev-1"}}, keys: 2,
	},
	{
		name: "columns called like sources", body: "# written by a tool\n\nx,user.id\n1,u1\n",
		members: [][2]string{{"user.id", "u1"}}, keys: 1,
	},
	{
		name: "one column", body: "Customer-ID\nu1\nu2\n\nu1\n", im: suppress.Import{ID: "user.id"},
		members: [][2]string{{"user.id", "u1"}, {"user.id", "u2"}}, keys: 2, empty: 1,
	},
	{
		name: "id and column, other case", body: "A,USER\nx, u1 \n", im: suppress.Import{ID: "user.id", Column: "user"},
		members: [][2]string{{"user.id", "u1"}}, keys: 1,
	},
	{
		name: "bad rows", body: "id,Email\nu1," + hashA + "\nu2,nonsense\nu3," + hashA + ",surplus\nu4\n\"u5\"x," + hashB + "\nu6," + hashA + ",\n" + strings.Repeat("u7,\n", 9),
		im:      idAndMail,
		members: [][2]string{{"user.id", "u1"}, {"user.id", "u2"}, {"user.id", "u4"}, {"user.id", "u6"}}, keys: 6, empty: 9, bad: 4,
		detail: `3 column "Email": it is neither 64 hexadecimal digits nor base64 of 32 bytes (44 characters)`,
	},
}

func TestCSV(t *testing.T) {
	for _, c := range csvCases {
		t.Run(c.name, func(t *testing.T) {
			s := customerStore(t)
			c.im.Format = suppress.CSV
			rep, err := s.Replace("customers", strings.NewReader(c.body), c.im)
			if err != nil {
				t.Fatal(err)
			}
			if rep.Keys != c.keys || rep.Empty != c.empty || rep.Rejected != c.bad || len(rep.RejectedSample) != int(c.bad) {
				t.Fatalf("got %+v", rep)
			}
			if c.bad > 0 {
				if got := fmt.Sprint(rep.RejectedSample[0].Line, " ", rep.RejectedSample[0].Detail); got != c.detail {
					t.Fatalf("got %q", got)
				}
			}
			for _, m := range c.members {
				if !has(t, s, "customers", m[0], m[1]) {
					t.Errorf("%s of source %s is not a member", m[1], m[0])
				}
			}
		})
	}
}

func TestNDJSON(t *testing.T) {
	s := customerStore(t)
	a := hexOf("a@example.com")
	body := `{"user":"u1","mail":"` + base64Of("a@example.com") + `","other":{"x":[1]}}
{"user":17,"mail":null}

{"mail":"` + a + `","user":true}
not json
{"user":"\u0075\u0031"}
{"user":"u5"}
`
	rep, err := s.Replace("customers", strings.NewReader(body), suppress.Import{
		Format: suppress.NDJSON,
		Map:    []suppress.Column{{Column: "user", Source: "user.id"}, {Column: "mail", Source: "email_sha256"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if rep.Keys != 4 || rep.Rejected != 2 || rep.Duplicates != 2 || rep.Empty != 4 {
		t.Fatalf("got %+v", rep)
	}
	for _, m := range [][2]string{{"user.id", "u1"}, {"user.id", "17"}, {"user.id", "u5"}, {"email_sha256", a}} {
		if !has(t, s, "customers", m[0], m[1]) {
			t.Errorf("%v is not a member", m)
		}
	}
}

func TestItems(t *testing.T) {
	o := options(t.TempDir())
	s := open(t, o)
	declare(t, s, suppress.Declaration{Name: "orders", Sources: []string{"user.id"}, Items: true, Exact: true})
	im := suppress.Import{Format: suppress.CSV, ID: "user.id", Column: "u", ItemColumn: "sku"}
	rep, err := s.Replace("orders", strings.NewReader("u,sku\nu1,shoe\nu2,hat\nu1,shoe\n"), im)
	if err != nil || rep.Keys != 2 || rep.Duplicates != 1 {
		t.Fatalf("got %+v, %v", rep, err)
	}
	v := s.View()
	for _, c := range []struct {
		user, item string
		in         bool
	}{{"u1", "shoe", true}, {"u2", "hat", true}, {"u1", "hat", false}, {"u2", "shoe", false}} {
		var p suppress.Probe
		p.Reset(suppress.ItemKey(testHash("user.id", []byte(c.user)), o.Item("orders", []byte(c.item))))
		if got := v.Contains(v.List("orders"), &p, 0); got != c.in {
			t.Errorf("%s, %s: %v", c.user, c.item, got)
		}
	}
	im.ItemColumn = ""
	if _, err := s.Replace("orders", strings.NewReader("u,sku\n"), im); !errors.Is(err, suppress.ErrImport) {
		t.Errorf("without an item column: %v", err)
	}
}

// TestRefused checks that each refusal can be told apart, names the mend and
// leaves the list as it was, and that none shows an identifier.
func TestRefused(t *testing.T) {
	o := options(t.TempDir())
	o.Limits = suppress.Limits{CompressedBytes: 4000, Bytes: 8000, RowBytes: 200}
	s := open(t, o)
	declare(t, s, customers)
	csv := suppress.Import{Format: suppress.CSV, ID: "user.id", Column: "id"}
	if _, err := s.Replace("customers", strings.NewReader("id\nu1\nu2\nu3\n"), csv); err != nil {
		t.Fatal(err)
	}
	bomb := compress(t, suppress.Gzip, strings.Repeat("secret-person\n", 10_000))
	broken := compress(t, suppress.Gzip, "id\nsecret-person\n")
	broken[len(broken)-6] ^= 1
	with := func(change func(*suppress.Import)) suppress.Import {
		im := csv
		change(&im)
		return im
	}
	cases := []struct {
		name, list, body string
		im               suppress.Import
		want             error
		says             string
	}{
		{"unknown list", "nobody", "", csv, suppress.ErrUnknownList, "nobody: {id:"},
		{"shrink", "customers", "id\nu1\n", csv, suppress.ErrShrink, "force"},
		{"rejected", "customers", "id,x\nu1,\nu2,\nu3,\nsecret-person,1,2\n", csv, suppress.ErrRejected, "line 5"},
		{"no column", "customers", "mail;name\nsecret-person;x\n", csv, suppress.ErrColumn, `"mail", "name", and none looks like one; if one is, write map=COLUMN:user.id`},
		{"no header", "customers", "secret@example.com,x\n", csv, suppress.ErrColumn, "header"},
		{"empty file", "customers", "", csv, suppress.ErrColumn, "empty"},
		{"undeclared source", "customers", "", with(func(im *suppress.Import) { im.ID = "buyeruid" }), suppress.ErrSource, "buyeruid"},
		{"format", "customers", "", with(func(im *suppress.Import) { im.Format = "xlsx" }), suppress.ErrImport, "xlsx"},
		{"until", "customers", "", with(func(im *suppress.Import) { im.Until = 9 }), suppress.ErrImport, "until"},
		{"scheme", "customers", "", with(func(im *suppress.Import) { im.Normalize = "rot13" }), suppress.ErrImport, "rot13"},
		{"row too long", "customers", "id\nu1\n" + strings.Repeat("s", 300) + "\n", csv, suppress.ErrRowTooLong, "line 3"},
		{"rows of one cell too long", "customers", "id\n\"" + strings.Repeat("s\n", 300), csv, suppress.ErrRowTooLong, "line 2"},
		{"open quote", "customers", "id\n\"secret-person\nx", csv, suppress.ErrTruncated, "line 2"},
		{"too large", "customers", "id\n" + strings.Repeat("secret-person\n", 400), csv, suppress.ErrTooLarge, "4000"},
		{"bomb", "customers", string(bomb), with(func(im *suppress.Import) { im.Compression = suppress.Gzip }), suppress.ErrExpanded, "8000"},
		{"bad checksum", "customers", string(broken), with(func(im *suppress.Import) { im.Compression = suppress.Gzip }), suppress.ErrCorrupt, "again"},
		{"not gzip", "customers", "id\nu1\nu2\nu3\nu4\n", with(func(im *suppress.Import) { im.Compression = suppress.Gzip }), suppress.ErrCorrupt, "again"},
		{"gzip not announced", "customers", string(bomb), csv, suppress.ErrImport, "Content-Encoding"},
		{"UTF-16", "customers", "\xff\xfei\x00d\x00", csv, suppress.ErrImport, "UTF-8"},
		{"empty zstd", "customers", "", with(func(im *suppress.Import) { im.Compression = suppress.Zstd }), suppress.ErrTruncated, "again"},
		{
			"map matches twice", "customers", "id,id,id\na,b,c\n",
			suppress.Import{Format: suppress.CSV, Map: []suppress.Column{{Column: "id", Source: "user.id"}, {Column: "id", Source: "ifa"}}},
			suppress.ErrColumn, "3 times",
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			rep, err := s.Replace(c.list, strings.NewReader(c.body), c.im)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("got %v", err)
			}
			told := err.Error()
			if b, e := json.Marshal(rep); e == nil {
				told += string(b)
			}
			if strings.Contains(told, "secret") || strings.Contains(told, "sss") {
				t.Errorf("an identifier is in %s", told)
			}
			st, err := s.Status("customers")
			if err != nil || st.Generation != 1 || st.Keys != 3 || !has(t, s, "customers", "user.id", "u2") {
				t.Errorf("the list has changed: %+v, %v", st, err)
			}
		})
	}
}

func compress(t testing.TB, how, body string) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser = gzip.NewWriter(&b)
	if how == suppress.Zstd {
		z, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		w = z
	}
	if _, err := io.WriteString(w, body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestCutAtEveryByte cuts an upload off wherever it can be cut: a compressed
// one by its end alone, a plain one with the error that the connection gives.
func TestCutAtEveryByte(t *testing.T) {
	s := customerStore(t)
	im := suppress.Import{Format: suppress.CSV, ID: "user.id", Column: "id", Force: true}
	if _, err := s.Replace("customers", strings.NewReader("id\nold1\nold2\n"), im); err != nil {
		t.Fatal(err)
	}
	before, _ := s.Status("customers")
	body := "id,note\nu1,\"a\nb\"\nu2,\nu3,x\n"
	for _, how := range []string{suppress.None, suppress.Gzip, suppress.Zstd} {
		whole := []byte(body)
		if how != suppress.None {
			whole = compress(t, how, body)
		}
		im.Compression = how
		for n := range whole {
			var r io.Reader = bytes.NewReader(whole[:n])
			if how == suppress.None {
				r = io.MultiReader(r, &brokenReader{})
			}
			if _, err := s.Replace("customers", r, im); !errors.Is(err, suppress.ErrTruncated) {
				t.Fatalf("%s cut at %d of %d: %v", how, n, len(whole), err)
			}
			if _, err := s.Change("customers", suppress.Add, io.MultiReader(bytes.NewReader(whole[:n]), &brokenReader{}), im); !errors.Is(err, suppress.ErrTruncated) {
				t.Fatalf("%s change cut at %d of %d: %v", how, n, len(whole), err)
			}
		}
		after, _ := s.Status("customers")
		if after.Generation != before.Generation || after.Keys != before.Keys || has(t, s, "customers", "user.id", "u1") {
			t.Fatalf("%s: the list has changed: %+v", how, after)
		}
	}
	for _, how := range []string{suppress.Gzip, suppress.Zstd} {
		im.Compression = how
		if rep, err := s.Replace("customers", bytes.NewReader(compress(t, how, body)), im); err != nil || rep.Keys != 3 {
			t.Fatalf("%s: %+v, %v", how, rep, err)
		}
	}
}

func TestDryRun(t *testing.T) {
	s := customerStore(t)
	im := suppress.Import{Format: suppress.Plain, ID: "user.id", DryRun: true}
	rep, err := s.Replace("customers", strings.NewReader("u1\nu2\nu2\n"), im)
	if err != nil || rep.Keys != 2 || rep.Duplicates != 1 || rep.Generation != 1 {
		t.Fatalf("got %+v, %v", rep, err)
	}
	rep, err = s.Change("customers", suppress.Add, strings.NewReader("u1\nu2\nu2\n"), im)
	if err != nil || rep.Keys != 2 {
		t.Fatalf("got %+v, %v", rep, err)
	}
	if st, _ := s.Status("customers"); st.Keys != 0 || st.State != suppress.StateNone {
		t.Fatalf("a dry run left %+v", st)
	}
}

func TestCanonical(t *testing.T) {
	a := hexOf("a@example.com")
	sum, _ := hex.DecodeString(a)
	for _, c := range []struct{ source, id, want, fault string }{
		{"user.id", "  u 1\t", "u 1", ""},
		{"user.id", " ", "", "empty"},
		{"user.id", "a\x00b", "", "control"},
		{"user.id", "a\xffb", "", "UTF-8"},
		{"user.id", strings.Repeat("x", 1025), "", "1024"},
		{"ifa", "00000000-0000-0000-0000-000000000000", "", "zeros"},
		{"ifa", "6D92078A-8246-4BA4-AE5B-76104861E7DC", "6d92078a-8246-4ba4-ae5b-76104861e7dc", ""},
		{"email_sha256", a, a, ""},
		{"email_sha256", " " + strings.ToUpper(a) + " ", a, ""},
		{"email_sha256", base64.StdEncoding.EncodeToString(sum), a, ""},
		{"email_sha256", "0x" + a, "", "0x"},
		{"email_sha256", base64.StdEncoding.EncodeToString([]byte(a)), "", "base64 of a hash"},
		{"email_sha256", "d41d8cd98f00b204e9800998ecf8427e", "", "MD5"},
		{"email_sha256", strings.Repeat("ab", 20), "", "SHA-1"},
		{"email_sha256", a[:32] + " " + a[33:], "", "white space"},
		{"email_sha256", hexOf(""), "", "nothing"},
		{"email_sha256", base64Of(""), "", "nothing"},
		{"email_sha256", "a@example.com", "", "not hashed"},
		{"email_sha256", base64.RawStdEncoding.EncodeToString(sum), "", "neither"},
		{"email_sha256", a[:63] + "g", "", "neither"},
	} {
		got, err := suppress.Canonical([]byte("x"), c.source, []byte(c.id))
		if c.fault == "" && (err != nil || string(got) != "x"+c.want) {
			t.Errorf("%s %q: got %q, %v", c.source, c.id, got, err)
		}
		if c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault) || string(got) != "x") {
			t.Errorf("%s %q: got %q, %v, want %q", c.source, c.id, got, err, c.fault)
		}
	}
}
