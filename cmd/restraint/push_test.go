package main

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

const pushedJSON = `{"list":"acme","generation":7,"keys":1234567,"duplicates":8,"empty":9,"rejected":0,"false_positive_rate":0.0001,"bytes":3145728,"seconds":1.5}`

func TestPushTellsTheNode(t *testing.T) {
	const csv = "Email;ID\na;1\nb;2\n"
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = io.WriteString(z, csv)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	zstd := "\x28\xb5\x2f\xfd rest" // passed through, not read
	for _, c := range []struct {
		name, file, content, args  string
		method, path, kind, coding string
		query                      url.Values
	}{
		{
			"replace", "a.csv", csv, "--map Email=email_sha256 --map ID=user.id", "PUT", "/v1/lists/acme", "text/csv", "",
			url.Values{"map": {"Email:email_sha256", "ID:user.id"}},
		},
		{"add", "a.ndjson", "{}", "--map a.b=x,y=z --add", "POST", "/v1/lists/acme/add", "application/x-ndjson", "", url.Values{"map": {"a.b=x,y:z"}}},
		{"remove", "a.txt", "u\n", "--id user.id --remove", "POST", "/v1/lists/acme/remove", "text/plain", "", url.Values{"id": {"user.id"}}},
		{"gzip", "A.CSV.GZ", zipped.String(), "--id ifa --column ID", "PUT", "/v1/lists/acme", "text/csv", "gzip", url.Values{"id": {"ifa"}, "column": {"ID"}}},
		{"zstd", "a.jsonl.zst", zstd, "--map e=s", "PUT", "/v1/lists/acme", "application/x-ndjson", "zstd", url.Values{"map": {"e:s"}}},
		{"stdin", "-", "u\n", "--id user.id", "PUT", "/v1/lists/acme", "text/plain", "", url.Values{"id": {"user.id"}}},
		{"stdin gzip", "-", zipped.String(), "--map Email=email_sha256 --format csv", "PUT", "/v1/lists/acme", "text/csv", "gzip", url.Values{"map": {"Email:email_sha256"}}},
		{
			"all", "a.dat", csv, "--format csv --map Email=email_sha256 --item-column ID --normalize uid2 --until 2027-01-31 --dry-run --force", "PUT", "/v1/lists/acme", "text/csv", "",
			url.Values{"map": {"Email:email_sha256"}, "item_column": {"ID"}, "normalize": {"uid2"}, "until": {"1801353600"}, "dry_run": {"1"}, "force": {"1"}},
		},
		{"columns named as sources", "a.csv", csv, "", "PUT", "/v1/lists/acme", "text/csv", "", url.Values{}},
		{"the only source", "a.txt", "u\n", "--add", "POST", "/v1/lists/acme/add", "text/plain", "", url.Values{}},
		{"empty", "a.csv", "", "--map a=b", "PUT", "/v1/lists/acme", "text/csv", "", url.Values{"map": {"a:b"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr, last := fakeNode(t, 201, "application/json", pushedJSON)
			file, stdin := c.file, c.content
			if file != "-" {
				file, stdin = writeFile(t, c.file, c.content), "not read"
			}
			args := append([]string{"push", "--addr", addr, "--list", "acme"}, strings.Fields(c.args)...)
			inProcess(t, nil, stdin, append(args, file)...).must(t, 0)
			query, err := url.ParseQuery(last.query)
			if err != nil || !reflect.DeepEqual(query, c.query) {
				t.Errorf("query %v, want %v (%v)", query, c.query, err)
			}
			if last.method != c.method || last.path != c.path || last.body != c.content ||
				last.header.Get("Content-Type") != c.kind || last.header.Get("Content-Encoding") != c.coding {
				t.Errorf("asked %+v", last)
			}
		})
	}
}

func TestPushReport(t *testing.T) {
	file := writeFile(t, "a.txt", "u\n")
	addr, _ := fakeNode(t, 200, "application/json", pushedJSON)
	inProcess(t, nil, "", "push", "--addr", addr, "--list", "acme", "--id", "user.id", file).
		must(t, 0, "generation       7\n", "keys             1,234,567\n", "false positives  1 in 10,000\n", "size             3.0 MiB\n", "took             1.5s\n",
			"sent 1 row, 2 B in 0s; waiting for the node to build the list\n")

	addr, _ = fakeNode(t, 200, "application/json", `{"list":"acme","rows":3,"skipped":1,"columns":[{"column":"Email","source":"email_sha256"},{"column":"Phone","source":"phone_sha256"}],"ignored":["Name","Work mail"]}`)
	inProcess(t, nil, "", "push", "--addr", addr, "--list", "acme", file).
		must(t, 0, "rows             3\n", "skipped lines    1\n", "columns read     Email as email_sha256\n                 Phone as phone_sha256\n", "not read         Name, Work mail\n")
	addr, _ = fakeNode(t, 200, "application/json", `{"list":"acme","columns":[{"column":"","source":"user.id"}]}`)
	inProcess(t, nil, "", "push", "--addr", addr, "--list", "acme", file).must(t, 0, "columns read     the only one, as user.id\n")

	var sample []string
	for i := range 120 {
		sample = append(sample, fmt.Sprintf(`{"line":%d,"detail":"not an e-mail address"}`, 1000+i))
	}
	rejected := `{"list":"acme","rejected":2000,"rejected_sample":[` + strings.Join(sample, ",") + `]}`
	addr, _ = fakeNode(t, 200, "application/json", rejected)
	r := inProcess(t, nil, "", "push", "--addr", addr, "--list", "acme", "--id", "user.id", file)
	r.must(t, 1, "rejected rows    2,000\n", "line 1,000: not an e-mail address", "line 1,099:", "and 1,900 more rejected",
		"the node rejected 2,000 rows; the others were taken; mend them in the CRM, or say --allow-rejected")
	if strings.Contains(r.stdout, "line 1,100:") {
		t.Error("more than 100 rows are shown")
	}
	inProcess(t, nil, "", "push", "--addr", addr, "--list", "acme", "--id", "user.id", "--allow-rejected", file).
		must(t, 0, "rejected rows    2,000\n", "line 1,000: not an e-mail address", "and 1,900 more rejected")
	inProcess(t, nil, "", "push", "--addr", addr, "--list", "acme", "--id", "user.id", "--dry-run", file).
		must(t, 1, "unchanged (--dry-run)", "nothing was changed (--dry-run)")

	addr, _ = fakeNode(t, 422, problemJSON, `{"title":"Unprocessable Entity","detail":"too many rows are rejected","report":`+rejected+`}`)
	inProcess(t, nil, "", "push", "--addr", addr, "--list", "acme", "--id", "user.id", file).
		must(t, 1, "422 Unprocessable Entity: too many rows are rejected", "line 1,000: not an e-mail", "and 1,900 more rejected")
}

func TestPushWrongUse(t *testing.T) {
	txt, gz := writeFile(t, "a.txt", "u\n"), writeFile(t, "b.csv.gz", "plain\n")
	for _, c := range []struct{ args, want string }{
		{"--column a " + txt, "identifiers of which source"},
		{"-", "\"-\" does not say its format"},
		{"--map a " + txt, `"a": write COLUMN=SOURCE`},
		{"--map =a " + txt, `"=a"`},
		{"--map a= " + txt, `"a="`},
		{"--map a=b --id c " + txt, "in two ways"},
		{"--column c --map a=b " + txt, "in two ways"},
		{"--id a --normalize md5 " + txt, `"md5": write none, uid2`},
		{"--id a --until soon " + txt, `--until "soon" is not a time`},
		{"--id a --until 99999999999 " + txt, "is not a time"},
		{"--id a --format xml " + txt, `"xml": write csv, ndjson or text`},
		{"--id a --format .csv " + txt, `".csv": write csv`},
		{"--map a=b x.xlsx", `"x.xlsx" does not say its format`},
		{"--map a=b -", `"-" does not say its format`},
		{"--map a=b " + gz, "is named as gzip and does not begin like it"},
	} {
		args := append([]string{"push", "--addr", "127.0.0.1:1", "--list", "acme"}, strings.Fields(c.args)...)
		inProcess(t, nil, "", args...).must(t, 2, c.want)
	}
	inProcess(t, nil, "", "push", "--list", "acme", "--id", "a", t.TempDir()).must(t, 1, "it is a folder")
}

// The node refuses before it has read the body: its reason is shown, not the
// broken connection.
func TestPushRefusedEarly(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", problemJSON)
		w.Header().Set("Connection", "close")
		w.WriteHeader(404)
		_, _ = io.WriteString(w, `{"title":"Not Found","detail":"the policy declares no list \"acme\""}`)
	}))
	defer server.Close()
	file := writeFile(t, "a.txt", strings.Repeat("identifier\n", 1<<20))
	inProcess(t, nil, "", "push", "--addr", server.URL, "--list", "acme", "--id", "a", file).must(t, 1, `declares no list "acme"`)
}

func TestPushFileThatCannotBeRead(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // ends early
	}))
	defer server.Close()
	var out, errs bytes.Buffer
	broken := io.MultiReader(strings.NewReader(strings.Repeat("u\n", 1<<16)), iotest.ErrReader(errors.New("bad sector")))
	code := run(t.Context(), &process{
		args: []string{"push", "--addr", server.URL, "--list", "l", "--id", "a", "-"}, lookup: noEnv, stdin: broken, stdout: &out, stderr: &errs,
		now: newClock().now,
	})
	result{code, out.String(), errs.String()}.must(t, 1, "read -: bad sector")
}
