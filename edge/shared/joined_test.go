package shared_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"restraint/edge/durable"
	"restraint/edge/shared"
)

func mustPut(t *testing.T, n *joinedNode, name, doc string) {
	t.Helper()
	if err := n.Put(name, []byte(doc)); err != nil {
		t.Fatal(err)
	}
}

func TestJoinedDocumentsAloneAreFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "joined")
	n := openLetters(t, dir, nil)
	mustPut(t, n, "letters.x", "ba")
	mustPut(t, n, "letters.x", "c")
	mustPut(t, n, "letters.y", "z")
	n.has("letters.x", "abc")
	if s := n.Stats(); s.Documents != 2 || s.Bytes != 4 || s.Unsent != 0 {
		t.Errorf("stats: %+v", s)
	}
	n = n.again()
	n.has("letters.x", "abc")
	n.has("letters.y", "z")
	n.Drop("letters.y")
	n.Drop("letters.none")
	n = n.again()
	n.has("letters.x", "abc")
	n.has("letters.y", "")
}

func TestJoinedDocumentIsCheckedByName(t *testing.T) {
	n := openLetters(t, t.TempDir(), nil)
	for _, name := range []string{
		"", "letters.", "other.x", "letters./x", "letters.../x", "letters..x", "letters.x.", "letters.a b", "letters.*", "letters.>", "letters.é",
		"letters.\x00", "letters." + strings.Repeat("a", 121), `letters.\x`,
	} {
		if err := n.Put(name, []byte("a")); !errors.Is(err, shared.ErrName) {
			t.Errorf("%q: %v", name, err)
		}
	}
	mustPut(t, n, "letters.A-z_0=.9", "a")
	mustPut(t, n, "letters."+strings.Repeat("a", 120), "a")
}

func TestJoinedDocumentsAreBounded(t *testing.T) {
	n := openLetters(t, t.TempDir(), nil)
	if err := n.Put("letters.x", bytes.Repeat([]byte("a"), shared.MaxBytes+1)); !errors.Is(err, shared.ErrFull) {
		t.Errorf("a long document: %v", err)
	}
	for i := range shared.MaxDocuments {
		n.Hold("letters."+string(rune('a'+i%26))+strings.Repeat("a", i/26%100)+strings.Repeat("b", i/2600), []byte("a"))
	}
	if held := n.Stats().Documents; held != shared.MaxDocuments {
		t.Fatalf("%d documents", held)
	}
	if err := n.Put("letters.x0", []byte("a")); !errors.Is(err, shared.ErrFull) {
		t.Errorf("one more document: %v", err)
	}
	mustPut(t, n, "letters.a", "b") // one that is there
}

func TestJoinedDocumentOutlivesACrashWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	n := openLetters(t, dir, nil)
	mustPut(t, n, "letters.x", "a")
	// Killed between the write and the rename.
	if _, err := durable.Stage(filepath.Join(dir, "letters.x"), []byte("ab")); err != nil {
		t.Fatal(err)
	}
	if _, err := durable.Stage(filepath.Join(dir, "other.x"), []byte("ab")); err != nil {
		t.Fatal(err)
	}
	n = n.again()
	n.has("letters.x", "a")
	left, err := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil || len(left) != 1 || !strings.Contains(left[0], "other.x") {
		t.Errorf("left of what was being written: %v, %v", left, err)
	}
}

func TestJoinedDocumentThatIsBrokenOnDiskIsSetAside(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"letters.x": "A7", "letters.y": "", "letters.z": "newer", "letters.w": "a", "letters.b d": "a"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	n := openLetters(t, dir, nil)
	if s := n.Stats(); s.Refused != 4 || s.Documents != 1 {
		t.Errorf("stats: %+v", s)
	}
	n.has("letters.w", "a")
	mustPut(t, n, "letters.x", "b")
	n = n.again()
	n.has("letters.x", "b")
	if s := n.Stats(); s.Refused != 0 {
		t.Errorf("what was set aside is read again: %+v", s)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "aside.letters.x")); err != nil || string(text) != "A7" {
		t.Errorf("set aside: %q, %v", text, err)
	}
}

func TestJoinedDocumentThatTheDiskRefusesChangesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "joined")
	n := openLetters(t, dir, nil)
	mustPut(t, n, "letters.x", "a")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"letters.x", "letters.y"} {
		if err := n.Put(name, []byte("b")); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	n.has("letters.x", "a")
	n.has("letters.y", "")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	mustPut(t, n, "letters.x", "c")
	n.has("letters.x", "ac")
}

func TestJoinedDocumentsTellOneChangeAtATime(t *testing.T) {
	n := openLetters(t, t.TempDir(), nil)
	var puts sync.WaitGroup
	for i := range 26 {
		puts.Go(func() { mustPut(t, n, "letters.x", string(rune('a'+i))) })
	}
	puts.Wait()
	n.has("letters.x", "abcdefghijklmnopqrstuvwxyz")
}
