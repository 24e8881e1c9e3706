package replica

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"restraint/caps"
)

// erasedSubject carries the question whether a node has an erasure, on core NATS: a batch of erasures. The answer is a byte, 1 for yes and 0 for
// not yet, and the node's name.
const erasedSubject = "restraint.erased"

// NodeErased is what is known of one node and an erasure.
type NodeErased struct {
	Node string
	// Answered: it can be reached, and said whether it has Applied it.
	Answered, Applied bool
	// Seen is when it last refreshed its name, by the servers' time; zero where that is not known.
	Seen time.Time
}

// Erased asks every other node of the cluster whether it has forgotten, up to the second, what it knew of the keys (at most caps.MaxKeys), and returns
// what it learnt of each, by name. Nodes that were stopped give their name back and are not among them: they read what they missed before they are ready.
// It waits no longer than a second or two. Without other nodes it returns nothing. Errors: ErrAway.
func (k *Keeper) Erased(ctx context.Context, keys []caps.Key, until caps.Second) ([]NodeErased, error) {
	if k.cluster == nil || k.broker.embedded != nil {
		return nil, nil
	}
	return k.cluster.askErased(ctx, keys, until)
}

func (c *cluster) askErased(ctx context.Context, keys []caps.Key, until caps.Second) ([]NodeErased, error) {
	nodes, err := c.others(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask the nodes: %w", err)
	}
	question, err := c.codec.AppendBatch(nil, []caps.Change{{Kind: caps.ChangeErase, Keys: keys, Until: until}})
	if err != nil {
		panic("BUG: a question cannot be encoded: " + err.Error())
	}
	conn := c.broker.read
	inbox := conn.NewInbox()
	answers, err := conn.SubscribeSync(inbox)
	if err == nil {
		defer func() { _ = answers.Unsubscribe() }() // it ends with the connection otherwise
		err = conn.PublishRequest(erasedSubject, inbox, question)
	}
	if err != nil {
		return nil, fmt.Errorf("ask the nodes: %w: %w", ErrAway, err)
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	for left := len(nodes); left > 0; {
		m, err := answers.NextMsgWithContext(ctx)
		if err != nil {
			break // who has not answered by then does not
		}
		if len(m.Data) < 2 {
			continue
		}
		i := slices.IndexFunc(nodes, func(n NodeErased) bool { return n.Node == string(m.Data[1:]) })
		if i >= 0 && !nodes[i].Answered {
			nodes[i].Answered, nodes[i].Applied = true, m.Data[0] == 1
			left--
		}
	}
	return nodes, nil
}

// others are the nodes that have a name in the cluster, but for this one, by name.
func (c *cluster) others(ctx context.Context) (nodes []NodeErased, err error) {
	names := newShared(c.broker.readJS, membersBucket, 0)
	stream, _, err := names.look(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAway, err)
	}
	entries, err := names.list(ctx, stream, nodeKeys)
	if err != nil {
		return nil, err
	}
	for i := range entries {
		if entries[i].name != c.member.key {
			nodes = append(nodes, NodeErased{Node: nameOf(strings.TrimPrefix(entries[i].name, nodeKeys)), Seen: entries[i].at})
		}
	}
	slices.SortFunc(nodes, func(a, b NodeErased) int { return cmp.Compare(a.Node, b.Node) })
	return nodes, nil
}

// nameOf is the name that keyOf wrote.
func nameOf(key string) string {
	var b strings.Builder
	for i := 0; i < len(key); i++ {
		if key[i] == '=' && i+2 < len(key) {
			if c, err := strconv.ParseUint(key[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(c))
				i += 2
				continue
			}
		}
		b.WriteByte(key[i])
	}
	return b.String()
}

// answerErasures answers what other nodes ask until ctx ends.
func (c *cluster) answerErasures(ctx context.Context) error {
	if c.broker.embedded != nil {
		return nil
	}
	s, err := c.broker.read.Subscribe(erasedSubject, func(m *nats.Msg) {
		applied, err := c.hasErased(m.Data)
		if err != nil || m.Reply == "" {
			return // of a node with another secret, or of another version: it counts as no answer
		}
		answer := []byte{0}
		if applied {
			answer[0] = 1
		}
		_ = m.Respond(append(answer, c.broker.options.Node...)) // who asks takes silence for not yet
	})
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { _ = s.Unsubscribe() })
	return nil
}

// hasErased says whether all that a question asks for is forgotten here. What stands ahead of the servers' time, from when this node's clock was
// wrong, no erasure that another node was asked for reaches: while it is held the person is not forgotten.
func (c *cluster) hasErased(question []byte) (applied bool, err error) {
	b := c.codec.Batch()
	rest, err := b.ParseNext(question)
	if err != nil {
		return false, err
	}
	if len(rest) > 0 || c.codec.foreign(&b) || b.Records > caps.MaxKeys {
		return false, errors.New("not a question of this cluster")
	}
	applied = true
	latest := later(caps.Second(c.serversNow().Unix()), c.ahead)
	for change := (caps.Change{}); b.Next(&change); {
		if change.Kind != caps.ChangeErase {
			return false, errors.New("not a question of this cluster")
		}
		held := c.store.Lookup(change.Keys[0], c.store.Now())
		applied = applied && held.Erased >= change.Until && held.Newest() <= latest
	}
	return applied, nil
}
