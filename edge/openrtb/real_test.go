package openrtb

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"unicode/utf8"
)

const real = "../../../shared/data/"

func validUTF8(body []byte) bool { return utf8.Valid(body) && json.Valid(body) }

// asked adds candidates to a real bid request, before its first field.
func asked(t *testing.T, body []byte) []byte {
	open := bytes.IndexByte(body, '{')
	if open < 0 {
		t.Fatalf("no object: %.60s", body)
	}
	rest := bytes.TrimSpace(body[open+1:])
	out := append([]byte{}, body[:open+1]...)
	out = append(out, `"candidates":[{"campaign":"a","creative":"b"},{"campaign":"c"}]`...)
	if rest[0] != '}' {
		out = append(out, ',')
	}
	return append(out, body[open+1:]...)
}

func accept(t *testing.T, name string, body []byte) {
	var r Request
	body = asked(t, body)
	if err := r.Parse(bytes.Clone(body)); err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	checkRequest(t, body)
}

func TestRealBidRequests(t *testing.T) {
	files, err := filepath.Glob(real + "bidrequests/br-*.json")
	if err != nil || len(files) == 0 {
		t.Skipf("no files in %sbidrequests: %v", real, err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		accept(t, file, body)
	}
	t.Logf("%d requests", len(files))
}

func TestRealBidRequestsInBulk(t *testing.T) {
	f, err := os.Open(real + "bidrequests_bulk.jsonl.gz")
	if err != nil {
		t.Skip(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 1<<24)
	n := 0
	for ; lines.Scan(); n++ {
		var entry struct {
			Path    string
			Pointer string
			Request json.RawMessage
		}
		if err := json.Unmarshal(lines.Bytes(), &entry); err != nil {
			t.Fatal(err)
		}
		accept(t, entry.Path+entry.Pointer, entry.Request)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d requests", n)
}

// Requests that another server must refuse: refused or read, by the same rules as all.
func TestRealInvalidRequests(t *testing.T) {
	body, err := os.ReadFile(real + "bidrequests_invalid.json")
	if err != nil {
		t.Skip(err)
	}
	var file struct {
		Vectors []struct {
			ID      string
			Request json.RawMessage
		}
	}
	if err := json.Unmarshal(body, &file); err != nil {
		t.Fatal(err)
	}
	refused := 0
	for _, v := range file.Vectors {
		var r Request
		checkRequest(t, v.Request)
		if v.Request[0] != '{' {
			if err := r.Parse(v.Request); err == nil {
				t.Errorf("%s: accepted", v.ID)
			}
			refused++
			continue
		}
		ready := asked(t, v.Request)
		checkRequest(t, ready)
		if err := r.Parse(ready); err != nil {
			t.Logf("%s: %v", v.ID, err)
			refused++
		}
	}
	t.Logf("%d requests, %d refused", len(file.Vectors), refused)
	if refused == 0 || refused == len(file.Vectors) {
		t.Errorf("%d of %d refused", refused, len(file.Vectors))
	}
}
