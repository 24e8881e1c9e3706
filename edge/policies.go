package edge

import (
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
	Text string       `json:"text"`
}

// policies keeps the versions of the policy on disk, one file each, and puts new
// ones into force. The newest file is the policy in force.
type policies struct {
	mu       sync.Mutex // one change at a time
	dir      string
	versions []policyVersion // oldest first, without their texts
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
	if len(p.versions) == 0 {
		_, err := n.putPolicy(n.options.FirstPolicy, n.options.FirstPolicyName, false, 0)
		return err
	}
	compiled, err := n.compile(&newest, nil)
	if err != nil {
		return fmt.Errorf("policy version %d: %w", newest.Version, err)
	}
	return n.enforce(compiled, nil, func() error { return nil })
}

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
func (n *Node) putPolicy(text []byte, from string, dry bool, expect int) (c policyChange, err error) {
	p := &n.policies
	p.mu.Lock()
	defer p.mu.Unlock()
	c.policyVersion = policyVersion{Version: 1, At: time.Now().UTC(), From: from, SHA256: sum(string(text)), Text: string(text)}
	if r := n.rules.Load(); r != nil {
		last := p.versions[len(p.versions)-1]
		c.before, c.after = r.Policy, r.Policy
		if expect != 0 && expect != last.Version {
			return c, fmt.Errorf("%w: version %d, not %d; look at it and put again", errVersion, last.Version, expect)
		}
		if last.SHA256 == c.SHA256 {
			c.policyVersion = last
			return c, nil
		}
		c.Version = last.Version + 1
	}
	if c.after, err = n.compile(&c.policyVersion, c.before); err != nil || dry {
		return c, err
	}
	c.Held = c.after.Held
	if err := n.enforce(c.after, c.before, func() error { return p.write(&c.policyVersion) }); err != nil {
		return c, err
	}
	head := c.policyVersion
	head.Text = ""
	p.versions = append(p.versions, head)
	n.log.Info("policy in force", "version", c.Version, "from", from, "sha256", c.SHA256)
	return c, nil
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
	n.rules.Store(r)
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

// write keeps the version so that a crash leaves it whole or not at all.
func (p *policies) write(v *policyVersion) error {
	text, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return fmt.Errorf("encode policy: %w", err)
	}
	if err := writeWhole(p.file(v.Version), text); err != nil {
		return fmt.Errorf("keep policy: %w", err)
	}
	return nil
}

// writeWhole writes a file by temporary name, fsync and rename.
func writeWhole(name string, text []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if _, err = f.Write(text); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), name); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// version reads the policy with the number, the newest for 0; false when there is
// none.
func (p *policies) version(number int) (v policyVersion, ok bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := len(p.versions) - 1; i >= 0; i-- {
		if number == 0 || p.versions[i].Version == number {
			v, err = readPolicyVersion(p.file(p.versions[i].Version))
			return v, true, err
		}
	}
	return v, false, nil
}

func (p *policies) file(version int) string {
	return filepath.Join(p.dir, fmt.Sprintf("%08d.json", version))
}
