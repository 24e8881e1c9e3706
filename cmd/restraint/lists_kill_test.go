package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// killPolicy has an exact list: of some hundred strangers a filter alone takes one for a
// member in one run of thirty.
const killPolicy = "markets: [{name: all, require: none}]\nlists: {customers: {id: [user.id], source: first_party, basis: contract, exact: true}}\n" +
	"campaigns: {only: {advertiser: a, purpose: acquisition, suppress: [customers]}}\n"

// rows are members, one a line, as they are read: r<round>-0 and so on.
type rows struct {
	round, at, to int
	left          []byte
	stop          int           // so many are given before wait is waited for; 0: none
	reached, wait chan struct{} // reached is closed there
}

func (r *rows) Read(b []byte) (int, error) {
	if r.stop > 0 && r.at >= r.stop && len(r.left) == 0 {
		close(r.reached)
		<-r.wait
		r.stop = 0
	}
	for len(r.left) < len(b) && r.at < r.to && (r.stop == 0 || r.at < r.stop) {
		r.left = fmt.Appendf(r.left, "r%d-%d\n", r.round, r.at)
		r.at++
	}
	if len(r.left) == 0 {
		return 0, io.EOF
	}
	n := copy(b, r.left)
	r.left = append(r.left[:0], r.left[n:]...)
	return n, nil
}

// stream sends rows to a list and returns the status; 0 where there was no answer.
func (s *served) stream(method, path string, body io.Reader) int {
	req, err := http.NewRequest(method, s.url+path, body)
	if err != nil {
		return 0
	}
	req.Header.Set("Content-Type", "text/plain")
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0
	}
	return resp.StatusCode
}

// holdsOff counts of some people of a round how many are held off.
func (s *served) holdsOff(t *testing.T, round, of int) (in, asked int) {
	t.Helper()
	for i := 0; i < of; i += max(1, of/40) {
		asked++
		if _, answer := s.get(t, fmt.Sprintf("/v1/decide?user=r%d-%d&campaign=only", round, i)); strings.Contains(answer, `"suppressed"`) {
			in++
		}
	}
	return in, asked
}

// killWhen ends the process as soon as it is so, or the answer has come.
func (s *served) killWhen(t *testing.T, answered <-chan int, so func() bool) (status int) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for status == 0 && !so() {
		select {
		case status = <-answered:
		default:
			if time.Now().After(deadline) {
				t.Fatal("the moment to kill the node does not come")
			}
		}
	}
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-s.exited
	if status == 0 {
		status = <-answered
	}
	return status
}

// A node that is killed in the middle of an upload, of its publication or of a
// compaction has, when it starts again, the list as it was or as it was to be, whole,
// and the latter where that was acknowledged.
func TestKillKeepsLists(t *testing.T) {
	t.Run("plain", func(t *testing.T) { killLists(t) })
	t.Run("encrypted", func(t *testing.T) { killLists(t, "--encrypt-key-file", keyFile(t, 1)) })
}

func killLists(t *testing.T, args ...string) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "policy.yaml"), []byte(killPolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	const people = 60_000
	files := func(pattern string) int { return listFiles(dir, pattern) }
	s := startServed(t, dir, args...)
	if status := s.stream("PUT", "/v1/lists/customers", &rows{to: people}); status != 201 {
		t.Fatalf("first upload: %d", status)
	}
	inUse := 0
	for round, when := range []func() bool{
		func() bool { return true },                                // in the middle of the body
		func() bool { return files("tmp/keys-*") > 0 },             // the generation is written
		func() bool { return files("lists/customers/.tmp-*") > 0 }, // the pointer is
		func() bool { return files("lists/customers/*.keys") > 1 }, // it is in its place
		func() bool { return false },                               // it was answered
	} {
		round++
		body := &rows{round: round, to: people}
		if round == 1 {
			body.stop, body.reached, body.wait = people/2, make(chan struct{}), make(chan struct{})
		}
		kept := files("lists/customers/*.keys")
		if round == 4 {
			when = func() bool { return files("lists/customers/*.keys") > kept }
		}
		answered := make(chan int, 1)
		go func() { answered <- s.stream("PUT", "/v1/lists/customers", body) }()
		if body.stop > 0 {
			<-body.reached
			close(body.wait)
		}
		status := s.killWhen(t, answered, when)
		s = startServed(t, dir, args...)
		before, asked := s.holdsOff(t, inUse, people)
		after, _ := s.holdsOff(t, round, people)
		t.Logf("round %d: answered %d; of %d asked, %d of before and %d of the upload are members", round, status, asked, before, after)
		if before+after != asked || before != 0 && after != 0 || status/100 == 2 && after == 0 {
			t.Fatalf("round %d: answered %d; of %d asked, %d of before and %d of the upload are members", round, status, asked, before, after)
		}
		if after > 0 {
			inUse = round
		}
		s.keys(t, people)
	}

	s = killFolding(t, s, dir, inUse, people, args...)
	s.stop(t)
	if left := files("tmp/*") + files("lists/customers/*.damaged"); left > 0 {
		t.Errorf("%d files are left behind", left)
	}
}

func listFiles(dir, pattern string) int {
	found, _ := filepath.Glob(filepath.Join(dir, "data", "suppress", pattern))
	return len(found)
}

// killFolding adds more than is kept in memory, which is folded into new files of
// both generations, and kills the node meanwhile. It returns the node of after.
func killFolding(t *testing.T, s *served, dir string, inUse, people int, args ...string) *served {
	t.Helper()
	files := func(pattern string) int { return listFiles(dir, pattern) }
	for round, when := range []func() bool{
		func() bool { return files("tmp/keys-*") > 0 },
		func() bool { return files("lists/customers/*.keys") > 2 },
		func() bool { return files("lists/customers/.tmp-*") > 0 },
	} {
		round += 100
		answered := make(chan int, 1)
		go func() { answered <- s.stream("POST", "/v1/lists/customers/add", &rows{round: round, to: 270_000}) }()
		status := s.killWhen(t, answered, when)
		s = startServed(t, dir, args...)
		if before, asked := s.holdsOff(t, inUse, people); before != asked {
			t.Fatalf("compaction %d: %d of %d members are left", round, before, asked)
		}
		after, asked := s.holdsOff(t, round, 270_000)
		t.Logf("compaction %d: answered %d; %d of %d asked are members", round, status, after, asked)
		if after != 0 && after != asked || status/100 == 2 && after == 0 {
			t.Fatalf("compaction %d: answered %d; %d of %d asked are members", round, status, after, asked)
		}
		if after > 0 {
			if status := s.stream("POST", "/v1/lists/customers/remove", &rows{round: round, to: 270_000}); status != 200 {
				t.Fatalf("remove: %d", status)
			}
		}
		s.keys(t, people)
	}
	return s
}

// keys wants the list whole, with so many members.
func (s *served) keys(t *testing.T, want int) {
	t.Helper()
	var st struct {
		Keys  int
		State string
	}
	_, answer := s.get(t, "/v1/lists/customers")
	if err := json.Unmarshal([]byte(answer), &st); err != nil || st.Keys != want || st.State != "ready" {
		t.Fatalf("want %d members: %s", want, answer)
	}
}
