package edge

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"restraint/edge/shared"
)

// saveEffectEvery is how often counts of a pilot are kept and given to the cluster.
// Chosen: what a dying process loses of them is no more than that.
const saveEffectEvery = 10 * time.Second

// effectPrefix begins the names of the documents that hold counts of pilots.
const effectPrefix = "effect-"

// effects are the counts of pilots that are kept, of this node and of the others.
type effects struct {
	joined *shared.Joined

	mu     sync.Mutex
	tables map[string]*armTable // by name of document, as they were told last
}

// armCounts is what happened in each arm of a pilot, by parts, on all nodes as far as
// they have said so. It is what an effect is told from.
type armCounts func(t *trial) armTable

// openEffects reads the counts that are kept.
func (n *Node) openEffects() (err error) {
	e := &n.effects
	e.tables = make(map[string]*armTable)
	e.joined, err = n.openJoined(shared.Kind{Prefix: effectPrefix, Join: joinArms, Changed: func(name string, doc []byte) {
		t, err := parseArmTable(doc)
		if err != nil {
			return // what was joined can be read
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		e.tables[name] = t
	}})
	return err
}

// effectDocument names the document of this process's counts under a version.
func effectDocument(v *compiled) string {
	return fmt.Sprintf("%s%08d-%s-%016x", effectPrefix, v.tried.Version, sum(fmt.Sprintf("%s %d", v.sha256, v.pilot.Percent))[:8], rand.Uint64())
}

// keepEffects keeps the counts of the pilot until ctx ends, and drops those of others.
func (n *Node) keepEffects(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { n.effects.joined.Run(ctx) })
	defer running.Wait()
	ticker := time.NewTicker(saveEffectEvery)
	defer ticker.Stop()
	for {
		n.saveEffects()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// saveEffects keeps this process's counts of the pilot, if one runs, and drops those of
// pilots that are over: those of a version that this node has not heard of yet are not.
func (n *Node) saveEffects() {
	e, over := &n.effects, n.policies.newest().Version
	if t := n.rules.Load().trial; t != nil {
		over = t.tried.Version - 1
		counted := t.counts.table()
		if counted != (armTable{}) {
			if err := e.joined.Put(t.document, counted.document()); err != nil {
				n.log.Warn("counts of the pilot are not kept, and are tried again", "error", err.Error())
			}
		}
	}
	e.mu.Lock()
	var gone []string
	for name := range e.tables {
		if name < fmt.Sprintf("%s%08d", effectPrefix, over+1) {
			gone = append(gone, name)
			delete(e.tables, name)
		}
	}
	e.mu.Unlock()
	for _, name := range gone {
		e.joined.Drop(name)
	}
}

// counted is an armCounts: of this process what it has now, of others and of earlier ones
// what they have kept.
func (n *Node) counted(t *trial) armTable {
	all := t.counts.table()
	n.effects.mu.Lock()
	defer n.effects.mu.Unlock()
	for name, table := range n.effects.tables {
		if name != t.document && ofPilot(name, t.document) {
			all.each(func(a Arm, part int, o outcome) { all[a][part][o] += table[a][part][o] })
		}
	}
	return all
}
