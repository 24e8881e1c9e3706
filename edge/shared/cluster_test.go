package edge

import (
	"bytes"
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// settle lets the nodes of a bubble do what they have to.
func settle() {
	time.Sleep(10 * time.Second) // the bubble's clock
	synctest.Wait()
}

func TestJoinedDocumentsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newKV()
		a, b := openLetters(t, t.TempDir(), &kvLink{kv: store}).start(), openLetters(t, t.TempDir(), &kvLink{kv: store}).start()
		mustPut(t, a, "letters.x", "a")
		mustPut(t, b, "letters.x", "b")
		mustPut(t, b, "letters.y", "y")
		settle()
		for _, n := range []*joinedNode{a, b} {
			n.has("letters.x", "ab")
			n.has("letters.y", "y")
			if s := n.Stats(); s.Unsent != 0 {
				t.Errorf("stats: %+v", s)
			}
		}
		store.has(t, "letters.x", "ab")
		// What came from another is on disk.
		c := openLetters(t, a.dir, nil)
		c.has("letters.y", "y")
	})
}

func TestJoinedDocumentsAreSentSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newKV()
		a := openLetters(t, t.TempDir(), &kvLink{kv: store}).start()
		settle()
		for i := range 200 { // in two seconds
			mustPut(t, a, "letters.x", string(rune('a'+i%26)))
			time.Sleep(10 * time.Millisecond)
		}
		settle()
		store.has(t, "letters.x", "abcdefghijklmnopqrstuvwxyz")
		if store.puts < 1 || store.puts > 4 {
			t.Errorf("%d puts of what changed for two seconds", store.puts)
		}
		before := store.puts
		mustPut(t, a, "letters.x", "a") // nothing new
		time.Sleep(time.Hour)
		synctest.Wait()
		if store.puts != before {
			t.Errorf("%d puts of nothing new", store.puts-before)
		}
	})
}

func TestJoinedDocumentIsJoinedOnConflict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newKV()
		link := &kvLink{kv: store}
		a := openLetters(t, t.TempDir(), link).start()
		races := 0
		link.before = func(string) {
			if races++; races <= 3 {
				store.write("letters.x", []byte{'a' + byte(races)})
			}
		}
		mustPut(t, a, "letters.x", "z")
		settle()
		a.has("letters.x", "bcdz")
		store.has(t, "letters.x", "bcdz")
	})
}

func TestJoinedDocumentOfWhichTheAnswerWasLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newKV()
		link := &kvLink{kv: store}
		a := openLetters(t, t.TempDir(), link).start()
		// Another node's document, and Follow's word of it, come before the answer.
		link.after = func(string) {
			link.after = nil
			store.write("letters.x", []byte("b"))
			synctest.Wait()
		}
		mustPut(t, a, "letters.x", "a")
		settle()
		store.has(t, "letters.x", "ab")
		a.has("letters.x", "ab")
	})
}

func TestJoinedDocumentsGoOnWhileTheClusterIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newKV()
		near, far := &kvLink{kv: store}, &kvLink{kv: store, away: true}
		a, b := openLetters(t, t.TempDir(), near).start(), openLetters(t, t.TempDir(), far).start()
		mustPut(t, a, "letters.x", "a")
		mustPut(t, b, "letters.x", "b")
		settle()
		b.has("letters.x", "b")
		store.has(t, "letters.x", "a")
		if s := b.Stats(); s.Unsent != 1 {
			t.Errorf("stats: %+v", s)
		}
		b.stop()
		b = b.again().start() // a start without the cluster
		settle()
		b.has("letters.x", "b")
		far.cut(false)
		settle()
		a.has("letters.x", "ab")
		b.has("letters.x", "ab")
		near.change(func() { near.refuse = errors.New("no room") })
		mustPut(t, a, "letters.x", "c")
		settle()
		b.has("letters.x", "ab")
		near.change(func() { near.refuse = nil })
		settle()
		b.has("letters.x", "abc")
	})
}

func TestJoinedDocumentsAreGivenAgainToAClusterThatLostThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newKV()
		a := openLetters(t, t.TempDir(), &kvLink{kv: store}).start()
		mustPut(t, a, "letters.x", "a")
		settle()
		old, last := map[string]kvEntry{"letters.x": store.entries["letters.x"]}, store.last
		mustPut(t, a, "letters.x", "b")
		mustPut(t, a, "letters.y", "y")
		settle()
		store.change(func() { store.entries, store.last = old, last }) // rolled back
		settle()
		store.has(t, "letters.x", "ab")
		store.has(t, "letters.y", "y")
		store.change(func() { store.entries, store.last = map[string]kvEntry{}, 0 }) // made anew
		settle()
		store.has(t, "letters.x", "ab")
		store.has(t, "letters.y", "y")
		// Made anew while the node was down.
		a.stop()
		store.change(func() { store.entries, store.last = map[string]kvEntry{}, 0 })
		store.write("letters.x", []byte("q"))
		a = a.again().start()
		settle()
		store.has(t, "letters.x", "abq")
		store.has(t, "letters.y", "y")
		a.has("letters.x", "abq")
	})
}

// What is lost between a put and the next look is told by no change.
func TestJoinedDocumentThatWasLostUnseenIsFoundMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newKV()
		link := &kvLink{kv: store}
		a := openLetters(t, t.TempDir(), link).start()
		settle()
		link.after = func(name string) { // still within Put: Follow has not looked yet
			link.mu.Lock()
			delete(link.entries, name)
			link.mu.Unlock()
		}
		mustPut(t, a, "letters.x", "a")
		settle()
		link.after = nil
		store.has(t, "letters.x", "")
		time.Sleep(joinedListEvery + 2*joinedAgain)
		synctest.Wait()
		store.has(t, "letters.x", "a")
	})
}

func TestJoinedDocumentOfTheClusterThatIsBroken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newKV()
		a := openLetters(t, t.TempDir(), &kvLink{kv: store}).start()
		mustPut(t, a, "letters.x", "a")
		mustPut(t, a, "letters.n", "n")
		settle()
		store.write("letters.x", []byte("A7"))
		store.write("letters.n", []byte("newer"))
		store.write("letters.y", []byte("A7"))
		store.write("letters.y/..", []byte("a"))
		store.write("letters.long", bytes.Repeat([]byte("a"), joinedBytes+1))
		settle()
		store.has(t, "letters.x", "a") // healed
		store.has(t, "letters.n", "newer")
		store.has(t, "letters.y", "A7") // nobody has anything better
		a.has("letters.x", "a")
		a.has("letters.n", "n")
		a.has("letters.y", "")
		a.has("letters.y/..", "")
		if s := a.Stats(); s.Refused != 5 || s.Documents != 2 {
			t.Errorf("stats: %+v", s)
		}
		mustPut(t, a, "letters.n", "m") // stays here until the node can read what is there
		settle()
		if s := a.Stats(); s.Refused != 5 {
			t.Errorf("refused again: %+v", s)
		}
		store.has(t, "letters.n", "newer")
		mustPut(t, a, "letters.y", "y")
		settle()
		store.has(t, "letters.y", "y")
	})
}

func TestJoinedDocumentOfTheClusterThatTheDiskDoesNotTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, dir := newKV(), filepath.Join(t.TempDir(), "joined")
		a := openLetters(t, dir, &kvLink{kv: store}).start()
		settle()
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		store.write("letters.x", []byte("a"))
		settle()
		a.has("letters.x", "a")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		settle()
		a.stop()
		a = a.again()
		a.has("letters.x", "a")
	})
}

func TestJoinedDocumentsAreDroppedByEachNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newKV()
		a, b := openLetters(t, t.TempDir(), &kvLink{kv: store}).start(), openLetters(t, t.TempDir(), &kvLink{kv: store}).start()
		mustPut(t, a, "letters.x", "a")
		settle()
		a.drop("letters.x")
		settle()
		store.has(t, "letters.x", "")
		if _, err := os.Stat(filepath.Join(a.dir, "letters.x")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the file: %v", err)
		}
		if s := b.Stats(); s.Documents != 1 || s.Unsent != 0 {
			t.Errorf("the other node: %+v", s)
		}
		b.drop("letters.x")
		settle()
		store.has(t, "letters.x", "")
		for _, n := range []*joinedNode{a, b} {
			if s := n.Stats(); s != (joinedStats{Sent: s.Sent}) {
				t.Errorf("stats: %+v", s)
			}
		}
		a = a.again().start()
		settle()
		if s := a.Stats(); s.Documents != 0 || s.Refused != 0 {
			t.Errorf("after a restart: %+v", s)
		}
		mustPut(t, b, "letters.x", "b")
		settle()
		a.has("letters.x", "b")
		// Dropped while the cluster is away, and put by another meanwhile: the drop
		// stands, since what it drops is past its time.
		a.drop("letters.x")
		mustPut(t, b, "letters.x", "c")
		settle()
		if now, _ := store.copied(); len(now) != 1 {
			t.Errorf("%d documents", len(now))
		}
	})
}

// After any faults, all nodes and the cluster have the join of all that was put.
func TestJoinedDocumentsConverge(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 7))
			store := newKV()
			var links []*kvLink
			var nodes []*joinedNode
			for range 3 {
				links = append(links, &kvLink{kv: store})
				nodes = append(nodes, openLetters(t, t.TempDir(), links[len(links)-1]).start())
			}
			names, want := []string{"letters.x", "letters.y", "letters.z"}, map[string][]byte{}
			var saved map[string]kvEntry
			var savedLast uint64
			for range 120 {
				i := random.IntN(3)
				name := names[random.IntN(3)]
				switch random.IntN(10) {
				case 0:
					links[i].cut(random.IntN(2) == 0)
				case 1:
					store.change(func() { saved, savedLast = maps.Clone(store.entries), store.last })
				case 2:
					if saved != nil {
						store.change(func() { store.entries, store.last = saved, savedLast })
						saved = nil
					}
				case 3:
					store.change(func() { store.entries, store.last = map[string]kvEntry{}, 0 })
				case 4:
					nodes[i].stop()
					nodes[i] = nodes[i].again().start()
				case 5:
					store.write(name, []byte("A7"))
				default:
					letter := []byte{'a' + byte(random.IntN(26))}
					mustPut(t, nodes[i], name, string(letter))
					want[name], _ = letters(name, want[name], letter)
				}
				time.Sleep(time.Duration(random.IntN(2000)) * time.Millisecond)
			}
			for _, l := range links {
				l.cut(false)
			}
			time.Sleep(2 * joinedListEvery)
			synctest.Wait()
			for name, letters := range want {
				for _, n := range nodes {
					n.has(name, string(letters))
				}
				store.has(t, name, string(letters))
			}
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		})
	}
}
