package edge

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"sync"
	"time"

	"restraint/edge/identity"
	"restraint/edge/policy"
	"restraint/suppress"
)

// policyVersion is one policy as it was put, kept as one JSON file.
type policyVersion struct {
	Version int       `json:"version"`
	At      time.Time `json:"at"`
	From    string    `json:"from"` // a file, "built-in", or "api"
	SHA256  string    `json:"sha256"`
	// Held is what older versions still ask to be kept: with it, the newest version
	// alone says how many exposures each scope keeps.
	Held policy.Keeps `json:"held,omitempty"`
	// Shared: the cluster has it, or had it, under this number.
	Shared bool   `json:"shared,omitempty"`
	Text   string `json:"text"`
}

// policies keeps the versions of the policy on disk, one file each, and puts new
// ones into force. The newest file is the policy in force; of a node that shares its
// policy, so far as the cluster has none.
type policies struct {
	dir string

	changing sync.Mutex // one change at a time, also while the cluster is asked; before mu
	sharing  sharing

	mu       sync.Mutex
	versions []policyVersion // oldest first, without their texts; written under both locks
	standing standing        // written under both locks
}

// PolicyError is a policy that was refused for its faults.
type PolicyError struct{ Faults policy.Faults }

func (e PolicyError) Error() string { return e.Faults.Error() }

// openPolicies reads the versions on disk and puts the newest in force, or the
// first policy where there is none yet.
func (n *Node) openPolicies() error {
	p := &n.policies
	p.dir = filepath.Join(n.options.Dir, "policies")
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return fmt.Errorf("make policy directory: %w", err)
	}
	names, err := filepath.Glob(filepath.Join(p.dir, "*.json"))
	if err != nil {
		return fmt.Errorf("list policies: %w", err)
	}
	sort.Strings(names)
	var newest policyVersion
	for i, name := range names {
		v, err := readPolicyVersion(name)
		switch {
		case err == nil:
		case i == len(names)-1:
			return fmt.Errorf("%w; move the file away to go back to the version before", err)
		default: // not in force: the node does without it
			n.log.Warn("an older policy cannot be read and is left out of the history", "error", err.Error())
			continue
		}
		newest = v
		v.Text = ""
		p.versions = append(p.versions, v)
	}
	switch {
	case len(p.versions) > 0:
	case n.options.Shared == nil:
		_, err := n.putPolicy(n.options.FirstPolicy, n.options.FirstPolicyName, false, 0)
		return err
	default: // version 0, under which nothing is decided, until the cluster has said which it is
		newest = policyVersion{At: time.Now().UTC(), From: n.options.FirstPolicyName, Text: string(n.options.FirstPolicy)}
	}
	compiled, err := n.compile(&newest, nil)
	switch {
	case err != nil && newest.Version == 0:
		return err
	case err != nil:
		return fmt.Errorf("policy version %d: %w", newest.Version, err)
	}
	if err := n.enforce(compiled, nil, func() error { return nil }); err != nil {
		return err
	}
	if newest.Version == 0 { // nothing is let go of for what may not be the policy
		n.caps.SetRetention(maxRetention, maxRetention)
	}
	return nil
}

// maxRetention is the longest that a policy can ask for, in seconds: ten years.
const maxRetention = 3650 * 24 * 60 * 60

func readPolicyVersion(name string) (v policyVersion, err error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return v, fmt.Errorf("read policy: %w", err)
	}
	if err := json.Unmarshal(text, &v); err != nil {
		return v, fmt.Errorf("read policy %s: %w", name, err)
	}
	if sum(v.Text) != v.SHA256 {
		return v, fmt.Errorf("read policy %s: its text does not have the SHA-256 it states", name)
	}
	return v, nil
}

func sum(text string) string {
	s := sha256.Sum256([]byte(text))
	return hex.EncodeToString(s[:])
}

// policyChange is what a change of policy came to.
type policyChange struct {
	policyVersion
	before, after *policy.Policy
}

// errVersion says that the policy in force is not the one that a change was meant
// to replace.
var errVersion = errors.New("another version is in force")

// putPolicy checks text, keeps it as the next version and puts it in force; dry, it
// only checks. The text in force already is no new version. from says where the
// text came from. Of expect, unless 0, the policy in force must have that version.
// Where the policy is shared, nothing changes before the cluster has taken it.
func (n *Node) putPolicy(text []byte, from string, dry bool, expect int) (c policyChange, err error) {
	n.policies.changing.Lock()
	defer n.policies.changing.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), shareTimeout)
	defer cancel()
	return n.putPolicyLocked(ctx, text, from, dry, expect)
}

// putPolicyLocked is putPolicy where policies.changing is held.
func (n *Node) putPolicyLocked(ctx context.Context, text []byte, from string, dry bool, expect int) (c policyChange, err error) {
	p := &n.policies
	c.policyVersion = policyVersion{At: time.Now().UTC(), From: from, SHA256: sum(string(text)), Text: string(text)}
	last := p.newest()
	var previous *policy.Policy
	if r := n.rules.Load(); r != nil {
		c.before, c.after = r.Policy, r.Policy
		if expect != 0 && expect != last.Version {
			return c, fmt.Errorf("%w: version %d, not %d; look at it and put again", errVersion, last.Version, expect)
		}
		if last.SHA256 == c.SHA256 {
			c.policyVersion = last
			return c, nil
		}
		if last.Version > 0 {
			previous = c.before
		}
	}
	if c.Version = max(last.Version, p.sharing.unread) + 1; c.Version > maxPolicyVersion {
		return c, fmt.Errorf("version %d is beyond %d, the last there is", c.Version, maxPolicyVersion)
	}
	if c.after, err = n.compile(&c.policyVersion, previous); err != nil || dry {
		return c, err
	}
	c.Held = c.after.Held
	keep := func() error { return p.write(&c.policyVersion) }
	if n.options.Shared != nil {
		keep = func() error { return n.shareNew(ctx, &c.policyVersion) }
	}
	if err := n.enforce(c.after, c.before, keep); err != nil {
		return c, err
	}
	p.add(c.policyVersion)
	n.log.Info("policy in force", "version", c.Version, "from", from, "sha256", c.SHA256)
	return c, nil
}

// newest is the version in force without its text; version 0 where there is none.
func (p *policies) newest() (v policyVersion) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.versions) > 0 {
		v = p.versions[len(p.versions)-1]
	}
	return v
}

// add notes v as the newest version; policies.changing is held.
func (p *policies) add(v policyVersion) {
	v.Text = ""
	p.mu.Lock()
	defer p.mu.Unlock()
	p.versions = append(p.versions, v)
}

// compile makes v ready. before is the version that it replaces; nil where v.Held
// says what is left of those.
func (n *Node) compile(v *policyVersion, before *policy.Policy) (*policy.Policy, error) {
	source, err := policy.Parse([]byte(v.Text), v.From)
	if err != nil {
		var faults policy.Faults
		if errors.As(err, &faults) {
			return nil, PolicyError{faults}
		}
		return nil, err
	}
	return policy.Compile(source, policy.Options{Tagger: n.tags.Tag, Version: v.Version, Now: uint32(v.At.Unix()), Previous: before, Held: v.Held}), nil
}

// enforce makes a compiled policy the one that decisions read, once keep has kept
// it. Until then, lists of both policies are declared: no decision is made under a
// policy whose lists are gone.
func (n *Node) enforce(p, before *policy.Policy, keep func() error) error {
	if err := n.declare(p, before); err != nil {
		return err
	}
	if err := keep(); err != nil {
		if before != nil {
			err = errors.Join(err, n.declare(before, nil))
		}
		return err
	}
	n.caps.SetRetention(p.Retention.Exposures, p.Retention.Purchases)
	r := newRules(p, n.tags)
	view := n.lists.View()
	for i := range p.Lists {
		r.lists = append(r.lists, view.List(p.Lists[i].Name))
		r.listTags = append(r.listTags, n.tags.Tag(identity.KindList, 0, p.Lists[i].Name))
	}
	r.watched = n.watched(p)
	n.dialAll(r)
	n.rules.Store(r)
	n.dialAll(r)                              // what was adopted in between went to the rules before
	if err := n.declare(p, nil); err != nil { // the policy is in force all the same
		n.log.Warn("lists of the policy before stay in memory", "error", err.Error())
	}
	return nil
}

// declare declares the lists of a policy, and those of the one before that it does
// not name.
func (n *Node) declare(p, before *policy.Policy) error {
	named := make(map[string]bool)
	var all []suppress.Declaration
	for _, from := range []*policy.Policy{p, before} {
		if from == nil {
			continue
		}
		for i := range from.Lists {
			if l := &from.Lists[i]; !named[l.Name] {
				named[l.Name] = true
				all = append(all, declare(l))
			}
		}
	}
	if err := n.lists.Declare(all); err != nil {
		return fmt.Errorf("declare lists: %w", err)
	}
	return nil
}
