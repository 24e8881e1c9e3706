package shared_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"restraint/edge/shared"
	"restraint/edge/shared/sharedtest"
)

// settle lets the nodes of a bubble do what they have to.
func settle() {
	time.Sleep(10 * time.Second) // the bubble's clock
	synctest.Wait()
}

func TestJoinedDocumentsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sharedtest.New()
		a, b := openLetters(t, t.TempDir(), store.Link()).start(), openLetters(t, t.TempDir(), store.Link()).start()
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
		holds(t, store, "letters.x", "ab")
		// What came from another is on disk.
		c := openLetters(t, a.dir, nil)
		c.has("letters.y", "y")
	})
}

func TestJoinedDocumentsAreSentSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sharedtest.New()
		a := openLetters(t, t.TempDir(), store.Link()).start()
		settle()
		for i := range 200 { // in two seconds
			mustPut(t, a, "letters.x", string(rune('a'+i%26)))
			time.Sleep(10 * time.Millisecond)
		}
		settle()
		holds(t, store, "letters.x", "abcdefghijklmnopqrstuvwxyz")
		before := store.Now().Puts
		if before < 1 || before > 4 {
			t.Errorf("%d puts of what changed for two seconds", before)
		}
		mustPut(t, a, "letters.x", "a") // nothing new
		time.Sleep(time.Hour)
		synctest.Wait()
		if now := store.Now().Puts; now != before {
			t.Errorf("%d puts of nothing new", now-before)
		}
	})
}

func TestJoinedDocumentIsJoinedOnConflict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sharedtest.New()
		link := store.Link()
		a := openLetters(t, t.TempDir(), link).start()
		races := 0
		link.Before(func(string) {
			if races++; races <= 3 {
				store.Write("letters.x", []byte{'a' + byte(races)})
			}
		})
		mustPut(t, a, "letters.x", "z")
		settle()
		a.has("letters.x", "bcdz")
		holds(t, store, "letters.x", "bcdz")
	})
}

func TestJoinedDocumentOfWhichTheAnswerWasLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sharedtest.New()
		link := store.Link()
		a := openLetters(t, t.TempDir(), link).start()
		// Another node's document, and Follow's word of it, come before the answer.
		link.After(func(string) {
			link.After(nil)
			store.Write("letters.x", []byte("b"))
			synctest.Wait()
		})
		mustPut(t, a, "letters.x", "a")
		settle()
		holds(t, store, "letters.x", "ab")
		a.has("letters.x", "ab")
	})
}

func TestJoinedDocumentsGoOnWhileTheClusterIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sharedtest.New()
		near, far := store.Link(), store.Link()
		far.Cut(true)
		a, b := openLetters(t, t.TempDir(), near).start(), openLetters(t, t.TempDir(), far).start()
		mustPut(t, a, "letters.x", "a")
		mustPut(t, b, "letters.x", "b")
		settle()
		b.has("letters.x", "b")
		holds(t, store, "letters.x", "a")
		if s := b.Stats(); s.Unsent != 1 {
			t.Errorf("stats: %+v", s)
		}
		b.stop()
		b = b.again().start() // a start without the cluster
		settle()
		b.has("letters.x", "b")
		far.Cut(false)
		settle()
		a.has("letters.x", "ab")
		b.has("letters.x", "ab")
		near.Refuse(errors.New("no room"))
		mustPut(t, a, "letters.x", "c")
		settle()
		b.has("letters.x", "ab")
		near.Refuse(nil)
		settle()
		b.has("letters.x", "abc")
	})
}

func TestJoinedDocumentsAreGivenAgainToAClusterThatLostThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sharedtest.New()
		a := openLetters(t, t.TempDir(), store.Link()).start()
		mustPut(t, a, "letters.x", "a")
		settle()
		old := store.Now()
		mustPut(t, a, "letters.x", "b")
		mustPut(t, a, "letters.y", "y")
		settle()
		store.Restore(old) // rolled back
		settle()
		holds(t, store, "letters.x", "ab")
		holds(t, store, "letters.y", "y")
		store.Empty() // made anew
		settle()
		holds(t, store, "letters.x", "ab")
		holds(t, store, "letters.y", "y")
		// Made anew while the node was down.
		a.stop()
		store.Empty()
		store.Write("letters.x", []byte("q"))
		a = a.again().start()
		settle()
		holds(t, store, "letters.x", "abq")
		holds(t, store, "letters.y", "y")
		a.has("letters.x", "abq")
	})
}

// What is lost between a put and the next look is told by no change.
func TestJoinedDocumentThatWasLostUnseenIsFoundMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sharedtest.New()
		link := store.Link()
		a := openLetters(t, t.TempDir(), link).start()
		settle()
		link.After(func(name string) { // still within Put: Follow has not looked yet
			store.Unseen(func(now *sharedtest.State) { delete(now.Documents, name) })
		})
		mustPut(t, a, "letters.x", "a")
		settle()
		link.After(nil)
		holds(t, store, "letters.x", "")
		time.Sleep(shared.ListEvery + 2*shared.AgainAfter)
		synctest.Wait()
		holds(t, store, "letters.x", "a")
	})
}

func TestJoinedDocumentOfTheClusterThatIsBroken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := sharedtest.New()
		a := openLetters(t, t.TempDir(), store.Link()).start()
		mustPut(t, a, "letters.x", "a")
		mustPut(t, a, "letters.n", "n")
		settle()
		store.Write("letters.x", []byte("A7"))
		store.Write("letters.n", []byte("newer"))
		store.Write("letters.y", []byte("A7"))
		store.Write("letters.y/..", []byte("a"))
		store.Write("letters.long", bytes.Repeat([]byte("a"), shared.MaxBytes+1))
		settle()
		holds(t, store, "letters.x", "a") // healed
		holds(t, store, "letters.n", "newer")
		holds(t, store, "letters.y", "A7") // nobody has anything better
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
		holds(t, store, "letters.n", "newer")
		mustPut(t, a, "letters.y", "y")
		settle()
		holds(t, store, "letters.y", "y")
	})
}

func TestJoinedDocumentOfTheClusterThatTheDiskDoesNotTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, dir := sharedtest.New(), filepath.Join(t.TempDir(), "joined")
		a := openLetters(t, dir, store.Link()).start()
		settle()
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		store.Write("letters.x", []byte("a"))
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
		store := sharedtest.New()
		a, b := openLetters(t, t.TempDir(), store.Link()).start(), openLetters(t, t.TempDir(), store.Link()).start()
		mustPut(t, a, "letters.x", "a")
		settle()
		a.Drop("letters.x")
		settle()
		holds(t, store, "letters.x", "")
		if _, err := os.Stat(filepath.Join(a.dir, "letters.x")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the file: %v", err)
		}
		if s := b.Stats(); s.Documents != 1 || s.Unsent != 0 {
			t.Errorf("the other node: %+v", s)
		}
		b.Drop("letters.x")
		settle()
		holds(t, store, "letters.x", "")
		for _, n := range []*joinedNode{a, b} {
			if s := n.Stats(); s != (shared.Stats{Sent: s.Sent}) {
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
		a.Drop("letters.x")
		mustPut(t, b, "letters.x", "c")
		settle()
		if now := store.Now().Documents; len(now) != 1 {
			t.Errorf("%d documents", len(now))
		}
	})
}

// After any faults, all nodes and the cluster have the join of all that was put.
func TestJoinedDocumentsConverge(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 7))
			store := sharedtest.New()
			var links []*sharedtest.Link
			var nodes []*joinedNode
			for range 3 {
				links = append(links, store.Link())
				nodes = append(nodes, openLetters(t, t.TempDir(), links[len(links)-1]).start())
			}
			names, want := []string{"letters.x", "letters.y", "letters.z"}, map[string][]byte{}
			var saved *sharedtest.State
			for range 120 {
				i := random.IntN(3)
				name := names[random.IntN(3)]
				switch random.IntN(10) {
				case 0:
					links[i].Cut(random.IntN(2) == 0)
				case 1:
					now := store.Now()
					saved = &now
				case 2:
					if saved != nil {
						store.Restore(*saved)
						saved = nil
					}
				case 3:
					store.Empty()
				case 4:
					nodes[i].stop()
					nodes[i] = nodes[i].again().start()
				case 5:
					store.Write(name, []byte("A7"))
				default:
					letter := []byte{'a' + byte(random.IntN(26))}
					mustPut(t, nodes[i], name, string(letter))
					want[name], _ = letters(name, want[name], letter)
				}
				time.Sleep(time.Duration(random.IntN(2000)) * time.Millisecond)
			}
			for _, l := range links {
				l.Cut(false)
			}
			time.Sleep(2 * shared.ListEvery)
			synctest.Wait()
			for name, letters := range want {
				for _, n := range nodes {
					n.has(name, string(letters))
				}
				holds(t, store, name, string(letters))
			}
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		})
	}
}
