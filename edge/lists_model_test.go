package edge_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

var listSeed = flag.Uint64("listseed", 0, "seed of the random changes of lists; 0: the time")

// listModel is what a cluster should hold: every upload and change in its order.
type listModel struct {
	at        int
	cur, prev *modelUpload // nil: none
	changes   []modelListChange
}

type modelUpload struct {
	members []string
	start   int
	deleted bool
}

type modelListChange struct {
	at   int
	add  bool
	user string
}

func (m *listModel) members() (all []string) {
	in := map[string]bool{}
	start := 0
	if m.cur != nil {
		start = m.cur.start
		for _, user := range m.cur.members {
			in[user] = true
		}
	}
	for _, c := range m.changes {
		if c.at > start {
			in[c.user] = c.add
		}
	}
	for user, is := range in {
		if is {
			all = append(all, user)
		}
	}
	slices.Sort(all)
	return all
}

func (m *listModel) upload(u modelUpload) {
	m.prev = m.cur
	if m.prev != nil && m.prev.deleted || u.deleted {
		m.prev = nil
	}
	m.cur = &u
}

// Whatever is done on whichever node, and whoever is away meanwhile or starts again,
// in the end all nodes have the same members, those of the model.
func TestListModel(t *testing.T) {
	seed := *listSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-listseed=%d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	crowd := strings.Fields("u1 u2 u3 u4 u5 u6")
	nodes, links, _, all := listCluster(t, 3)
	var m listModel
	for range 80 {
		m.at++
		i := r.IntN(len(nodes))
		n, away := nodes[i], links[i].Away()
		var users []string
		for range 1 + r.IntN(3) {
			users = append(users, crowd[r.IntN(len(crowd))])
		}
		body := strings.Join(users, "\n") + "\n"
		accepted := func(status int, answer []byte, more ...int) bool {
			if away && status == 503 || slices.Contains(more, status) {
				return false
			}
			if away || status < 200 || status > 204 {
				t.Fatalf("node %d, away %v: %d %s", i, away, status, answer)
			}
			return true
		}
		switch k := r.IntN(12); {
		case k < 2:
			status, answer := n.do("PUT", customers+"?id=user.id&force", "text/plain", body)
			if accepted(status, answer, 409) {
				m.upload(modelUpload{members: users, start: m.at})
			}
		case k < 8:
			op := []string{"add", "remove"}[k%2]
			status, answer := n.do("POST", customers+"/"+op+"?id=user.id", "text/plain", body)
			for _, user := range users {
				if status < 300 {
					m.changes = append(m.changes, modelListChange{m.at, op == "add", user})
				}
			}
			accepted(status, answer)
		case k < 9:
			status, answer := n.do("POST", customers+"/rollback", "", "")
			if none := m.prev == nil; !away && none != (status == 409) {
				t.Fatalf("roll back, with an upload before %v: %d %s", !none, status, answer)
			}
			if accepted(status, answer, 409) {
				m.cur, m.prev = m.prev, m.cur
			}
		case k < 10 && r.IntN(3) == 0:
			status, answer := n.do("DELETE", customers, "", "")
			if accepted(status, answer) {
				m.upload(modelUpload{start: m.at, deleted: true})
			}
		case k < 11:
			links[i].Cut(!away)
			all.change(func() {})
		default:
			n.stop()
			nodes[i] = startListNode(t, n.dir, i, links[i], all)
		}
		if m.at%10 == 0 {
			sameLists(t, m.members(), crowd, nodes, links, all)
		}
	}
}

// sameLists has every node reach the others again, and waits until all have these
// members.
func sameLists(t *testing.T, want, crowd []string, nodes []*node, links []*link, all *lists) {
	t.Helper()
	for _, l := range links {
		l.Cut(false)
	}
	all.change(func() {})
	for i, n := range nodes {
		eventually(t, fmt.Sprintf("node %d has %q", i, want), func() bool {
			var got []string
			for _, user := range crowd {
				if n.suppressed(user) {
					got = append(got, user)
				}
			}
			ready, detail := n.condition("lists")
			return slices.Equal(got, want) && ready && detail == ""
		})
	}
}
