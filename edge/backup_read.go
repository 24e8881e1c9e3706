package edge

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"restraint/edge/backup"
	"restraint/edge/shared"
)

// readSmall reads a section that is small.
func readSmall(r io.Reader, most int) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, int64(most)+1))
	if err == nil && len(b) > most {
		err = fmt.Errorf("%w: it has more than %d bytes", backup.ErrDamaged, most)
	}
	return b, err
}

func (in *backupReader) policy(name string, r io.Reader) error {
	text, err := readSmall(r, 2*maxPolicyJSON)
	if err != nil {
		return err
	}
	var v policyVersion
	if err := json.Unmarshal(text, &v); err != nil {
		return fmt.Errorf("%w: %w", backup.ErrDamaged, err)
	}
	if err = v.fault(); err == nil && v.Pilot != nil {
		err = v.Pilot.fault(&v)
	}
	if err == nil && fmt.Sprintf("%08d", v.Version) != name {
		err = fmt.Errorf("it is of version %d", v.Version)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", backup.ErrDamaged, err)
	}
	in.found.Policies++
	if v.Version > in.newest.Version {
		in.newest = v
		in.found.Policy, in.found.Pilot = v.Version, v.Pilot != nil
	}
	if in.o.Dir == "" {
		return nil
	}
	p := policies{dir: filepath.Join(in.o.Dir, "policies"), disk: in.o.AtRest}
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return err
	}
	return p.write(&v)
}

// documentKinds are those of joined documents.
var documentKinds = []shared.Kind{{Prefix: headsPrefix}, {Prefix: dialPrefix}, {Prefix: effectPrefix}, {Prefix: countPrefix}}

func (in *backupReader) document(name string, r io.Reader) error {
	if !slices.ContainsFunc(documentKinds, func(k shared.Kind) bool { return k.CheckName(name) == nil }) {
		return fmt.Errorf("%w: no document has such a name", backup.ErrDamaged)
	}
	form, err := readSmall(r, shared.MaxBytes)
	if err != nil {
		return err
	}
	in.found.Documents++
	if in.o.Dir == "" {
		return nil
	}
	dir, disk := filepath.Join(in.o.Dir, "joined"), in.o.AtRest
	if strings.HasPrefix(name, headsPrefix) {
		dir, disk = filepath.Join(in.o.Dir, FormerHeads), nil // for an auditor
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return disk.WriteFile(filepath.Join(dir, name), form)
}
