package edge

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"restraint/edge/durable"
	"restraint/edge/policy"
)

// A list of hashed emails is of no use where requests bring none, and nothing would
// tell. So a node notes, for each identifier source of its lists, when a request for
// decisions last brought a usable identifier of it.

// silentAfter is for how long no request may bring a source before that is told.
const silentAfter = 24 * 60 * 60

// watchSaveEvery is how often what was noted is written. Chosen.
const watchSaveEvery = time.Minute

// watchedSource is one source. Seconds are those of the node's clock.
type watchedSource struct {
	name  string
	seen  atomic.Uint32 // when a request last brought it; 0: never
	since uint32        // when the node began to watch
	// down is for how long, since it was seen, the node was not running, before opened.
	down, opened uint32
}

// note says that a request at now brought the source. It stores once a second.
func (w *watchedSource) note(now uint32) {
	if w.seen.Load() < now {
		w.seen.Store(now)
	}
}

// silent is for how many seconds of running no request has brought the source.
func (w *watchedSource) silent(now uint32) uint32 {
	seen, down := w.seen.Load(), w.down
	if seen > w.opened {
		down = 0
	}
	from := max(seen, w.since)
	return now - min(now, from+down)
}

// watch are the sources of all lists of the policy.
type watch struct {
	mu      sync.Mutex
	sources map[string]*watchedSource
}

// watchDocument is what is written of them.
type watchDocument struct {
	Version int                      `json:"version"` // 1
	Saved   uint32                   `json:"saved"`
	Sources map[string]watchedFields `json:"sources"`
}

type watchedFields struct {
	Since uint32 `json:"since"`
	Seen  uint32 `json:"seen,omitempty"`
	Down  uint32 `json:"down,omitempty"`
}

func (n *Node) watchFile() string { return filepath.Join(n.options.Dir, "suppress", "sources") }

// openWatch reads what was written before. Without it the watch begins now.
func (n *Node) openWatch(now uint32) {
	w := &n.watch
	w.sources = make(map[string]*watchedSource)
	text, err := os.ReadFile(n.watchFile())
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	var d watchDocument
	if err == nil {
		err = json.Unmarshal(text, &d)
	}
	if err == nil && d.Version != 1 {
		err = fmt.Errorf("it is of version %d", d.Version)
	}
	if err != nil {
		n.log.Warn("when requests last brought the sources of lists cannot be read, and is noted anew", "error", err.Error())
		return
	}
	for name, f := range d.Sources {
		s := &watchedSource{name: name, since: f.Since, opened: now, down: f.Down + now - min(now, d.Saved)}
		s.seen.Store(f.Seen)
		w.sources[name] = s
	}
}

// watched are the sources of the lists of policies.
func (n *Node) watched(policies ...*policy.Policy) (all []*watchedSource) {
	now := n.clock.at(time.Now(), 0)
	w := &n.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	named := make(map[string]bool)
	for _, p := range policies {
		for i := range p.Lists {
			for _, name := range p.Lists[i].IDs {
				if named[name] {
					continue
				}
				named[name] = true
				if w.sources[name] == nil {
					w.sources[name] = &watchedSource{name: name, since: now}
				}
				all = append(all, w.sources[name])
			}
		}
	}
	for name := range w.sources {
		if !named[name] {
			delete(w.sources, name)
		}
	}
	return all
}

// saveWatch writes what was noted. One goroutine calls it at a time.
func (n *Node) saveWatch(now time.Time) {
	w := &n.watch
	d := watchDocument{Version: 1, Saved: n.clock.at(now, 0), Sources: make(map[string]watchedFields)}
	w.mu.Lock()
	for name, s := range w.sources {
		f := watchedFields{Since: s.since, Seen: s.seen.Load(), Down: s.down}
		if f.Seen > s.opened {
			f.Down = 0
		}
		d.Sources[name] = f
	}
	w.mu.Unlock()
	text, err := json.Marshal(d)
	if err == nil {
		err = durable.Write(n.watchFile(), text)
	}
	if err != nil {
		n.log.Warn("when requests last brought the sources of lists is not written", "error", err.Error())
	}
}

// sourceSeen is what a node says of one source.
type sourceSeen struct {
	Source string `json:"source"`
	// LastSeen is how many seconds ago a request brought it; nil: never while watched.
	LastSeen *uint32 `json:"last_seen"`
	Watched  uint32  `json:"watched"` // for so many seconds, with those in which the node was down
	Silent   bool    `json:"silent"`  // no request brought it in 24 hours of running
}

func (w *watchedSource) said(now uint32) sourceSeen {
	s := sourceSeen{Source: w.name, Watched: now - min(now, w.since), Silent: w.silent(now) >= silentAfter}
	if seen := w.seen.Load(); seen != 0 {
		ago := now - min(now, seen)
		s.LastSeen = &ago
	}
	return s
}
