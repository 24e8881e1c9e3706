package edge_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"restraint/suppress"
)

// keyed sends an upload with an Idempotency-Key.
func (n *node) keyed(key, method, path, body string) (status int, answer string, replayed bool) {
	n.t.Helper()
	req, err := http.NewRequest(method, n.url+customers+path, strings.NewReader(body))
	if err != nil {
		n.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "text/plain")
	req.Header.Set("Idempotency-Key", key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		n.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	return resp.StatusCode, string(b), resp.Header.Get("Idempotency-Replayed") == "true"
}

// onceSame sends a request again and wants the answer it had, with nothing done.
func (n *node) onceSame(key, method, path, body string, status int, answer string) {
	n.t.Helper()
	if s, a, replayed := n.keyed(key, method, path, body); s != status || a != answer || !replayed {
		n.t.Errorf("%s %s again: %d %s, replayed %v; it was %d %s", method, path, s, a, replayed, status, answer)
	}
}

// onceFirst sends a request for the first time.
func (n *node) onceFirst(key, method, path, body string, want int) (answer string) {
	n.t.Helper()
	s, a, replayed := n.keyed(key, method, path, body)
	if s != want || replayed {
		n.t.Fatalf("%s %s: %d %s, replayed %v", method, path, s, a, replayed)
	}
	return a
}

func (n *node) generation() uint64 {
	n.t.Helper()
	var st suppress.Status
	n.must(200, "GET", customers, "", "", &st)
	return st.Generation
}

// A request that comes again with its key is answered as before and not done again,
// also after a restart; the key is good for nothing else.
func TestOnce(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	const who = "u-secret-77"
	put := n.onceFirst("put of monday", "PUT", "?id=user.id", who+"\nu2\n", 201)
	generation := n.generation()
	n.onceSame("put of monday", "PUT", "?id=user.id", who+"\nu2\n", 201, put)
	add := n.onceFirst("add", "POST", "/add?id=user.id", "u3\n", 200)
	n.must(200, "POST", customers+"/remove?id=user.id", "text/plain", "u3\n", nil)
	n.onceSame("add", "POST", "/add?id=user.id", "u3\n", 200, add)
	remove := n.onceFirst("remove", "POST", "/remove?id=user.id", "u2\n", 200)
	n.must(200, "POST", customers+"/add?id=user.id", "text/plain", "u2\n", nil)
	n.onceSame("remove", "POST", "/remove?id=user.id", "u2\n", 200, remove)
	members(t, who+" u2", who+" u2 u3", n)
	if n.generation() != generation {
		t.Error("another generation was made")
	}

	for _, c := range [][4]string{
		{"put of monday", "PUT", "?id=user.id", who + "\n"},
		{"put of monday", "PUT", "?id=user.id", who + "\nu2\nu3\n"},
		{"put of monday", "PUT", "?id=user.id&force", who + "\nu2\n"},
		{"put of monday", "POST", "/add?id=user.id", who + "\nu2\n"},
		{"add", "POST", "/remove?id=user.id", "u3\n"},
		{"add", "POST", "/rollback", ""},
	} {
		if s, a, _ := n.keyed(c[0], c[1], c[2], c[3]); s != 422 || !strings.Contains(a, "give each request a key of its own") {
			t.Errorf("%q for another request: %d %s", c, s, a)
		}
	}
	n.onceFirst("put 2", "PUT", "?id=user.id", "u2\nu5\n", 200)
	back := n.onceFirst("back", "POST", "/rollback", "", 200)
	n.onceSame("back", "POST", "/rollback", "", 200, back)
	members(t, who+" u2", who+" u2 u3 u5", n)
	n.stop()
	checkHidden(t, n.dir, who, "put of monday")
	n = startNode(t, n.dir, testPolicy, nil)
	n.onceSame("put of monday", "PUT", "?id=user.id", who+"\nu2\n", 201, put)
	n.onceSame("back", "POST", "/rollback", "", 200, back)
	members(t, who+" u2", who+" u2 u3 u5", n)
}

// checkHidden looks for words in every file of a node.
func checkHidden(t *testing.T, dir string, words ...string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		b, err := os.ReadFile(path)
		for _, word := range words {
			if bytes.Contains(b, []byte(word)) {
				t.Errorf("%s holds %q", path, word)
			}
		}
		return err
	})
	if err != nil || files < 5 {
		t.Errorf("%d files, %v", files, err)
	}
}

// What was refused, cut off or only tried has changed nothing, so it is done when it
// comes again; while a request is under way another with its key is told so.
func TestOnceNotDone(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	for _, query := range []string{"?id=email_sha256", "?id=ifa", "?id=user.id&until=9"} {
		if s, a, _ := n.keyed("k", "PUT", query, "x\n"); s/100 != 4 {
			t.Errorf("%s: %d %s", query, s, a)
		}
	}
	if s, a, replayed := n.keyed("k", "PUT", "?id=user.id&dry_run", "u1\nu2\n"); s != 200 || replayed {
		t.Errorf("dry run: %d %s", s, a)
	}
	n.cutOff(t, "PUT", customers+"?id=user.id", "Idempotency-Key: k\r\n", []byte("u1\nu2\n"), 4, false)
	n.onceFirst("k", "PUT", "?id=user.id", "u1\nu2\n", 201)
	n.cutOff(t, "PUT", customers+"?id=user.id", "Idempotency-Key: k\r\n", []byte("u1\nu2\n"), 4, false) // the retry, too

	r, w := io.Pipe()
	req, err := http.NewRequest("PUT", n.url+customers+"?id=user.id", r)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "text/plain")
	req.Header.Set("Idempotency-Key", "slow")
	first := make(chan int)
	go func() {
		status, _ := n.roundTrip(t, req)
		first <- status
	}()
	fmt.Fprintln(w, "u3\nu4")
	eventually(t, "the upload is under way", func() bool { return n.work() != nil })
	if s, a, _ := n.keyed("slow", "PUT", "?id=user.id", "u3\nu4\n"); s != 409 || !strings.Contains(a, "under way since") {
		t.Errorf("beside the first: %d %s", s, a)
	}
	w.Close()
	if status := <-first; status != 200 {
		t.Errorf("the first: %d", status)
	}
	if s, a, replayed := n.keyed("slow", "PUT", "?id=user.id", "u3\nu4\n"); s != 200 || !replayed {
		t.Errorf("after the first: %d %s", s, a)
	}
	members(t, "u3 u4", "u1 u2 u3 u4", n)
	for _, key := range []string{"", "a\tb", strings.Repeat("k", 256), "é"} {
		if s, a, _ := n.keyed(key, "PUT", "?id=user.id", "u5\n"); s != 400 || !strings.Contains(a, "Idempotency-Key") {
			t.Errorf("key %q: %d %s", key, s, a)
		}
	}
}

// In a cluster the request may come again to any node; without NATS nobody knows
// whether it was done, and nothing is.
func TestOnceElsewhere(t *testing.T) {
	nodes, links, s, all := listCluster(t, 2)
	a, b := nodes[0], nodes[1]
	put := a.onceFirst("put", "PUT", "?id=user.id", "u1\nu2\n", 201)
	members(t, "u1 u2", "u1 u2 u3", a, b)
	b.must(200, "POST", customers+"/add?id=user.id", "text/plain", "u3\n", nil)
	b.onceSame("put", "PUT", "?id=user.id", "u1\nu2\n", 201, put)
	if s, answer, _ := b.keyed("put", "PUT", "?id=user.id", "u9\n"); s != 422 {
		t.Errorf("another body on another node: %d %s", s, answer)
	}
	add := b.onceFirst("add", "POST", "/add?id=user.id", "u4\n", 200)
	a.must(200, "POST", customers+"/remove?id=user.id", "text/plain", "u4\n", nil)
	joiner := startListNode(t, "", 3, newLink(s), all)
	joiner.onceSame("add", "POST", "/add?id=user.id", "u4\n", 200, add)
	members(t, "u1 u2 u3", "u1 u2 u3 u4 u9", a, b, joiner)
	links[1].Cut(true)
	status, answer, _ := b.keyed("add", "POST", "/add?id=user.id", "u4\n")
	var p struct{ Detail string }
	if err := json.Unmarshal([]byte(answer), &p); err != nil || status != 503 || !strings.Contains(p.Detail, "nothing was done") {
		t.Errorf("without NATS: %d %s", status, answer)
	}
	links[1].Cut(false)
	b.onceSame("add", "POST", "/add?id=user.id", "u4\n", 200, add)
}

// TestOnceUndone: a replacement that was rolled back or deleted since is neither done
// again nor said to be there; one that a later one has replaced is answered again.
func TestOnceUndone(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	put := func(key, body string, want int, replay bool) {
		t.Helper()
		status, answer, replayed := n.keyed(key, "PUT", "?id=user.id&force", body)
		if status != want || replayed != replay || want == 409 && !strings.Contains(answer, "new key") {
			t.Errorf("%s: %d %s, replayed %v; want %d, %v", key, status, answer, replayed, want, replay)
		}
	}
	put("k1", "u1\n", 201, false)
	put("k2", "u2\n", 200, false)
	put("k1", "u1\n", 201, true)
	put("k2", "u2\n", 200, true)
	n.must(200, "POST", customers+"/rollback", "", "", nil)
	put("k2", "u2\n", 409, false)
	put("k1", "u1\n", 201, true) // it is in use again
	n.must(200, "POST", customers+"/rollback", "", "", nil)
	put("k2", "u2\n", 200, true)
	n.must(204, "DELETE", customers, "", "", nil)
	put("k1", "u1\n", 409, false)
	put("k2", "u2\n", 409, false)
	n.must(200, "POST", customers+"/add?id=user.id", "text/plain", "u3\n", nil)
	put("k2", "u2\n", 409, false)
	put("k3", "u2\n", 200, false)
	put("k2", "u2\n", 200, true)
	if n.suppressed("u1") || !n.suppressed("u2") {
		t.Error("the list is not what was uploaded last")
	}
}
