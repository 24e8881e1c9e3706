package suppress_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func (c *untilCourse) forget() {
	c.t.Helper()
	if err := c.s.Forget(c.s.Sequence()); err != nil {
		c.t.Fatal(err)
	}
}

// held wants the keys of these in the files, and of nobody else.
func (c *untilCourse) held(want string) {
	c.t.Helper()
	files, err := filepath.Glob(filepath.Join(c.dir, "lists", "l", "*"))
	if err != nil || len(files) < 3 {
		c.t.Fatalf("%q, %v", files, err)
	}
	var all []byte
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			c.t.Fatal(err)
		}
		all = append(all, b...)
	}
	var in []string
	for _, id := range strings.Fields("a b c d e f g") {
		if key := testHash("user.id", []byte(id)); bytes.Contains(all, key[:]) {
			in = append(in, id)
		}
	}
	if got := strings.Join(in, " "); got != want {
		c.t.Fatalf("%d seconds later the files hold %q, want %q", c.clock.at-c.begun, got, want)
	}
}

// sizes are the members now, and after a rollback.
func (c *untilCourse) sizes() (cur, prev int64) {
	c.t.Helper()
	st, _ := c.s.Status("l")
	back, err := c.s.Rollback("l")
	if err == nil {
		_, err = c.s.Rollback("l")
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return st.Keys, back.Keys
}

// TestForget: those who left a day ago are in no file any more, of the generation
// before neither; nobody else is touched, and it can be rolled back as before.
func TestForget(t *testing.T) {
	c := newUntilCourse(t, people("l"))
	c.do("replace", 100, "a b")
	c.do("add", 0, "b c")
	c.do("replace", 0, "d")
	c.do("add", 100, "e f")
	c.compact()
	c.do("add", 200, "f g") // a journal
	c.forget()
	c.held("a b c d e f g")
	c.clock.at = c.begun + 100 + 24*3600 - 1
	c.forget()
	c.held("a b c d e f g")
	c.clock.at++
	c.forget()
	c.held("b c d f g")
	for range 2 {
		if cur, prev := c.sizes(); cur != 1 || prev != 2 {
			t.Fatalf("%d members, %d of the generation before", cur, prev)
		}
		c.restart()
	}
	c.clock.at += 100
	c.forget()
	c.held("b c d")
	if st, _ := c.s.Status("l"); st.Keys != 1 || st.Changes != 0 {
		t.Fatalf("%+v", st)
	}
	if got := at(c.s, c.clock.at, "a", "b", "c", "d", "e", "f", "g"); got != "d" {
		t.Fatalf("members are %q", got)
	}
}
