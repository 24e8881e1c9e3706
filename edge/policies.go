package edge

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sort"
	"sync"
	"time"

	"restraint/edge/atrest"
	"restraint/edge/identity"
	"restraint/edge/policy"
	"restraint/edge/shared"
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
	Shared bool `json:"shared,omitempty"`
	// Pilot: it is tried out on some people; nil: it is for everybody.
	Pilot *pilotOf `json:"pilot,omitempty"`
	Text  string   `json:"text"`
}

// withoutTexts is v as the history has it.
func (v policyVersion) withoutTexts() policyVersion {
	v.Text = ""
	if v.Pilot != nil {
		pilot := *v.Pilot
		pilot.Before.Text, pilot.Before.Held = "", nil
		v.Pilot = &pilot
	}
	return v
}

// policies keeps the versions of the policy on disk, one file each, and puts new
// ones into force. The newest file is the policy in force; of a node that shares its
// policy, so far as the cluster has none.
type policies struct {
	dir  string
	disk *atrest.Disk

	changing sync.Mutex // one change at a time, also while the cluster is asked; before mu
	sharing  sharing
	proposed *policyAsked // the first policy, while no cluster has answered whether it takes it; guarded by changing

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
	p.dir, p.disk = filepath.Join(n.options.Dir, "policies"), n.options.AtRest
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
		v, err := readPolicyVersion(p.disk, name)
		switch {
		case err == nil:
		case i == len(names)-1:
			return fmt.Errorf("%w; move the file away to go back to the version before", err)
		default: // not in force: the node does without it
			n.log.Warn("an older policy cannot be read and is left out of the history", "error", err.Error())
			continue
		}
		newest = v
		p.versions = append(p.versions, v.withoutTexts())
	}
	switch {
	case len(p.versions) > 0:
	case n.options.Shared == nil:
		return n.firstPolicy(n.putPolicy)
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

func readPolicyVersion(disk *atrest.Disk, name string) (v policyVersion, err error) {
	text, err := disk.ReadWhole(name)
	if err != nil {
		return v, fmt.Errorf("read policy: %w", err)
	}
	if err := json.Unmarshal(text, &v); err != nil {
		return v, fmt.Errorf("read policy %s: %w", name, err)
	}
	if sum(v.Text) != v.SHA256 {
		return v, fmt.Errorf("read policy %s: its text does not have the SHA-256 it states", name)
	}
	if v.Pilot != nil {
		if err := v.Pilot.fault(&v); err != nil {
			return v, fmt.Errorf("read policy %s: %w", name, err)
		}
	}
	return v, nil
}

func sum(text string) string {
	s := sha256.Sum256([]byte(text))
	return hex.EncodeToString(s[:])
}

// policyChange is what a change of policy came to. before is what held for everybody, or
// for those on whom nothing was tried out, unless the change is that a pilot was stopped:
// then it is what was tried out.
type policyChange struct {
	policyVersion
	before, after *policy.Policy
}

// errVersion says that the policy in force is not the one that a change was meant
// to replace.
var errVersion = errors.New("another version is in force")

// putPolicy checks a text, keeps it as the next version and puts it in force; dry, it
// only checks. What is in force already is no new version. Where the policy is shared,
// nothing changes before the cluster has taken it.
func (n *Node) putPolicy(put policyPut) (c policyChange, err error) {
	n.policies.changing.Lock()
	defer n.policies.changing.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), shareTimeout)
	defer cancel()
	return n.putPolicyLocked(ctx, put)
}

// putPolicyLocked is putPolicy where policies.changing is held.
func (n *Node) putPolicyLocked(ctx context.Context, put policyPut) (c policyChange, err error) {
	p, now := &n.policies, n.rules.Load()
	c.policyVersion = policyVersion{At: time.Now().UTC(), From: put.from, SHA256: sum(string(put.text)), Text: string(put.text)}
	last := p.newest()
	var replaced []*policy.Policy
	if now != nil {
		c.before, c.after = now.Policy, now.Policy
		switch {
		case put.expect == 0 || put.expect == last.Version:
		case last.Pilot != nil && put.expect == last.Pilot.Before.Version && put.read == 0 && !put.ends: // what GET gives meanwhile
			return c, last.Pilot.runs(last.Version)
		default:
			return c, fmt.Errorf("%w: version %d, not %d; look at it and put again", errVersion, last.Version, put.expect)
		}
		if put.read != 0 && put.read != last.Version {
			return c, fmt.Errorf("%w: version %d is the newest, not %d", shared.ErrConflict, last.Version, put.read)
		}
		same, err := p.follow(&c.policyVersion, &last, &put)
		if err != nil {
			return c, err
		}
		switch t := now.trial; {
		case t == nil:
		case put.pilot > 0:
			c.after = t.tried.Policy
		case last.Pilot.Before.SHA256 == c.SHA256:
			c.before = t.tried.Policy // it changes something for those who were in the pilot
		}
		if same {
			c.policyVersion = last
			return c, nil
		}
		if last.Version > 0 {
			replaced = now.policies()
		}
	}
	if c.Version = max(last.Version, p.sharing.unread) + 1; c.Version > maxPolicyVersion {
		return c, fmt.Errorf("version %d is beyond %d, the last there is", c.Version, maxPolicyVersion)
	}
	if c.Pilot != nil && c.Pilot.Draw == 0 {
		c.Pilot.Draw = c.Version
	}
	ready, err := n.compile(&c.policyVersion, replaced)
	if err != nil {
		return c, err
	}
	c.after = ready.newest()
	if put.dry {
		return c, nil
	}
	c.Held = c.after.Held
	keep := func() error { return p.write(&c.policyVersion) }
	if n.options.Shared != nil {
		keep = func() error { return n.shareNew(ctx, &c.policyVersion) }
	}
	if err := n.enforce(ready, now, keep); err != nil {
		return c, err
	}
	p.add(c.policyVersion)
	tellPolicy(put.called.logTo(n.log), &c.policyVersion)
	return c, nil
}

// logPolicy says which policy came into force, and for whom.
func (n *Node) logPolicy(v *policyVersion) { tellPolicy(n.log, v) }

func tellPolicy(log *slog.Logger, v *policyVersion) {
	if v.Pilot == nil {
		log.Info("policy in force", "version", v.Version, "from", v.From, "sha256", v.SHA256)
		return
	}
	log.Info("policy tried out", "version", v.Version, "percent", v.Pilot.Percent, "before", v.Pilot.Before.Version, "from", v.From, "sha256", v.SHA256)
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
	p.mu.Lock()
	defer p.mu.Unlock()
	p.versions = append(p.versions, v.withoutTexts())
}

// compile makes v ready. replaced are the policies that it replaces; none where v.Held
// says what is left of those.
func (n *Node) compile(v *policyVersion, replaced []*policy.Policy) (c compiled, err error) {
	source, options, err := n.source(v)
	if err != nil {
		return c, err
	}
	for _, p := range replaced {
		options.Held = options.Held.Join(p.Keeps(options.Now))
	}
	if v.Pilot == nil {
		c.policy = policy.Compile(source, options)
		return c, nil
	}
	before, beforeOptions, err := n.source(&v.Pilot.Before)
	if err != nil {
		return c, fmt.Errorf("version %d, before the pilot: %w", v.Pilot.Before.Version, err)
	}
	c.pilot, c.sha256 = v.Pilot, v.SHA256
	c.policy, c.tried = policy.CompileBoth(before, source, beforeOptions, options)
	if faults := policy.PilotFaults(c.policy, c.tried); len(faults) > 0 {
		return c, PolicyError{faults}
	}
	return c, nil
}

// source reads a version's text, and is what it is to be compiled with.
func (n *Node) source(v *policyVersion) (*policy.Source, policy.Options, error) {
	source, err := policy.Parse([]byte(v.Text), v.From)
	var faults policy.Faults
	if errors.As(err, &faults) {
		err = PolicyError{faults}
	}
	return source, policy.Options{Tagger: n.tags.Tag, Version: v.Version, Now: uint32(v.At.Unix()), Held: v.Held}, err
}

// enforce makes compiled policies those that decisions read, once keep has kept them, in
// place of those of now, nil for none. Until then, lists of all of them are declared: no
// decision is made under a policy whose lists are gone.
func (n *Node) enforce(c compiled, now *rules, keep func() error) error {
	if err := n.declare(append(c.policies(), now.policies()...)); err != nil {
		return err
	}
	if err := keep(); err != nil {
		if now != nil {
			err = errors.Join(err, n.declare(now.policies()))
		}
		return err
	}
	n.caps.SetRetention(c.policy.Retention.Exposures, c.policy.Retention.Purchases)
	n.caps.SetLimits(limitsOf(c.policies()))
	next := n.inForce(&c)
	n.dialAll(next)
	n.rules.Store(next)
	n.dialAll(next)                                 // what was adopted in between went to the rules before
	if err := n.declare(c.policies()); err != nil { // the policy is in force all the same
		n.log.Warn("lists of the policy before stay in memory", "error", err.Error())
	}
	return nil
}

// inForce makes compiled policies ready for decisions, once their lists are declared.
func (n *Node) inForce(c *compiled) *rules {
	view, watched := n.lists.View(), n.watched(c.policies()...)
	var all []*rules
	for _, p := range c.policies() {
		r := newRules(p, n.tags)
		for i := range p.Lists {
			r.lists = append(r.lists, view.List(p.Lists[i].Name))
			r.listTags = append(r.listTags, n.tags.Tag(identity.KindList, 0, p.Lists[i].Name))
		}
		r.watched, r.lots = watched, n.lots
		all = append(all, r)
	}
	if c.tried != nil {
		t := &trial{
			before: all[0], tried: all[1], percent: c.pilot.Percent, draw: c.pilot.Draw, counts: new(armCounters), document: effectDocument(c),
		}
		all[0].trial, all[1].trial = t, t
	}
	return all[0]
}

// declare declares the lists of policies; of those with one name the first.
func (n *Node) declare(policies []*policy.Policy) error {
	named := make(map[string]bool)
	var all []suppress.Declaration
	for _, p := range policies {
		for i := range p.Lists {
			if l := &p.Lists[i]; !named[l.Name] {
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
