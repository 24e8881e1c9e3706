package edge_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// realRequests is where bid requests of public ad servers lie, beside the
// repository.
const realRequests = "../../shared/data"

// Every real bid request is a valid decide request once it has candidates.
func TestRealBidRequests(t *testing.T) {
	if _, err := os.Stat(realRequests); err != nil {
		t.Skipf("no bid requests in %s", realRequests)
	}
	n := startNode(t, "", testPolicy, nil)
	single, err := filepath.Glob(realRequests + "/bidrequests/br-*.json")
	if err != nil || len(single) != 55 {
		t.Fatalf("%d files, want 55: %v", len(single), err)
	}
	for _, file := range single {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		askWithCandidates(t, n, file, text)
	}
	packed, err := os.Open(realRequests + "/bidrequests_bulk.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	unpacked, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(unpacked)
	lines.Buffer(nil, 1<<20)
	asked := 0
	for ; lines.Scan(); asked++ {
		var row struct {
			Path    string
			Request json.RawMessage
		}
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			t.Fatal(err)
		}
		askWithCandidates(t, n, row.Path, row.Request)
	}
	if lines.Err() != nil || asked != 1502 {
		t.Errorf("%d bulk requests, want 1502: %v", asked, lines.Err())
	}
}

func askWithCandidates(t *testing.T, n *node, name string, request []byte) {
	t.Helper()
	request = bytes.TrimSpace(request)
	if i := bytes.IndexByte(request, '{'); i >= 0 {
		request = append([]byte(`{"candidates":[{"campaign":"shoes","creative":"a"},{"campaign":"single"}]`+comma(request[i+1:])), request[i+1:]...)
	}
	var a answer
	status, body := n.do("POST", "/v1/decide", "application/json", string(request))
	if err := json.Unmarshal(body, &a); status != 200 || err != nil || len(a.Decisions) != 2 {
		t.Errorf("%s: %d %s", name, status, body)
	}
}

// comma separates the candidates from what follows, if anything does.
func comma(rest []byte) string {
	if rest = bytes.TrimSpace(rest); len(rest) > 0 && rest[0] == '}' {
		return ""
	}
	return ","
}
