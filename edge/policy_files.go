package edge

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"restraint/edge/durable"
)

// write keeps the version so that a crash leaves it whole or not at all.
func (p *policies) write(v *policyVersion) error {
	staged, err := p.stage(v)
	if err != nil {
		return err
	}
	if err := staged.Commit(); err != nil {
		return fmt.Errorf("keep policy: %w", err)
	}
	return nil
}

// stage writes the version without making it the newest yet: what may fail for want
// of room has then not failed.
func (p *policies) stage(v *policyVersion) (durable.Staged, error) {
	text, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return durable.Staged{}, fmt.Errorf("encode policy: %w", err)
	}
	s, err := durable.Stage(p.file(v.Version), text)
	if err != nil {
		return s, fmt.Errorf("keep policy: %w", err)
	}
	return s, nil
}

// setAside takes versions out of the history: their files keep their text under
// another name, by which no start reads them. policies.changing is held.
func (p *policies) setAside(which func(*policyVersion) bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	left := p.versions[:0]
	var failed error
	for _, v := range p.versions {
		if !which(&v) {
			left = append(left, v)
			continue
		}
		name := p.file(v.Version)
		if err := os.Rename(name, name+"."+v.SHA256[:8]+".aside"); err != nil && !errors.Is(err, os.ErrNotExist) {
			failed = errors.Join(failed, fmt.Errorf("set policy version %d aside: %w", v.Version, err))
		}
	}
	p.versions = left
	return failed
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

// text is version, but for 0 that of the people on whom nothing is tried out, and for the
// number of that one also where only the pilot's file has it.
func (p *policies) text(number int) (v policyVersion, ok bool, err error) {
	newest, ok, err := p.version(0)
	if err != nil || !ok {
		return newest, ok, err
	}
	if pilot := newest.Pilot; pilot != nil && (number == 0 || number == pilot.Before.Version) {
		return pilot.Before, true, nil
	}
	if number == 0 || number == newest.Version {
		return newest, true, nil
	}
	return p.version(number)
}

// goBack is the version with the number, for 0 the one before that in force: the newest
// that was for everybody and has another text.
func (p *policies) goBack(number int) (v policyVersion, ok bool, err error) {
	if number != 0 {
		return p.text(number)
	}
	p.mu.Lock()
	newest := len(p.versions) - 1
	for i := newest; i >= 0; i-- {
		before := &p.versions[i]
		switch now := &p.versions[newest]; {
		case i == newest && now.Pilot != nil:
			number = now.Pilot.Before.Version
		case before.Pilot == nil && before.SHA256 != now.SHA256:
			number = before.Version
		}
		if number != 0 {
			break
		}
	}
	p.mu.Unlock()
	if number == 0 {
		return v, false, nil
	}
	return p.text(number)
}

func (p *policies) file(version int) string {
	return filepath.Join(p.dir, fmt.Sprintf("%08d.json", version))
}
