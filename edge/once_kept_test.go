package edge

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Answers are kept for a day, the newest of each key, and a bounded number of them.
func TestOnceDocument(t *testing.T) {
	now := time.Unix(1_790_000_000, 0)
	var d onceDocument
	for i := range onceMost + 5 {
		d.with(onceAnswer{Key: fmt.Sprint("k", i), At: now.Unix(), Status: 200}, now)
	}
	if len(d.Answers) != onceMost || d.find("k4", now) != nil || d.find("k5", now) == nil {
		t.Errorf("%d answers", len(d.Answers))
	}
	d.with(onceAnswer{Key: "k5", At: now.Unix() + 60, Status: 201}, now)
	if a := d.find("k5", now); len(d.Answers) != onceMost || a == nil || a.Status != 201 {
		t.Errorf("done again: %+v", a)
	}
	day := now.Add(onceFor)
	if d.find("k6", day.Add(-time.Second)) == nil || d.find("k6", day) != nil || d.find("k5", day) == nil {
		t.Error("not kept for a day, or longer")
	}
	d.with(onceAnswer{Key: "new", At: day.Unix()}, day)
	if len(d.Answers) != 2 {
		t.Errorf("%d answers a day later", len(d.Answers))
	}
}

// Long answers take no more room than is meant: the oldest go.
func TestOnceDocumentBytes(t *testing.T) {
	now := time.Unix(1_790_000_000, 0)
	var d onceDocument
	for i := range onceMost {
		d.with(onceAnswer{Key: fmt.Sprint("k", i), At: now.Unix(), Answer: []byte(`"` + strings.Repeat("x", onceBytes) + `"`)}, now)
	}
	text, err := d.encode()
	if err != nil || len(text) > onceDocumentBytes || len(text) < onceDocumentBytes-2*onceBytes || d.find(fmt.Sprint("k", onceMost-1), now) == nil || d.find("k0", now) != nil {
		t.Errorf("%d bytes, %d answers, %v", len(text), len(d.Answers), err)
	}
}

// An answer that is too long is kept without its sample of rows.
func TestOnceLongAnswer(t *testing.T) {
	n := &Node{options: Options{Dir: t.TempDir()}}
	if err := os.MkdirAll(filepath.Join(n.options.Dir, "suppress"), 0o700); err != nil {
		t.Fatal(err)
	}
	long := `{"list":"l","keys":7,"rejected_sample":[{"line":1,"detail":"` + strings.Repeat("x", onceBytes) + `"}]}`
	if err := n.keepOnce(onceAnswer{Key: "abcd", At: time.Now().Unix(), Answer: []byte(long)}); err != nil {
		t.Fatal(err)
	}
	d, _, err := n.onceAnswers("abcd")
	if a := d.find("abcd", time.Now()); err != nil || a == nil || string(a.Answer) != `{"keys":7,"list":"l"}` {
		t.Errorf("%+v, %v", d, err)
	}
}
