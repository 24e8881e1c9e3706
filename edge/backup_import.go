package edge

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"

	"restraint/caps"
	"restraint/edge/atrest"
	"restraint/edge/audit"
	"restraint/edge/backup"
	"restraint/edge/identity"
	"restraint/edge/policy"
	"restraint/edge/trust"
)

// BackupOptions say what a backup is read with, and for what.
type BackupOptions struct {
	// Secret is the one that the node of the backup had, of the same epoch or a later one.
	Secret identity.Secret
	// Counters reads what a Keeper's Export wrote, to its end, and gives the records to each; into the data directory where there is one.
	Counters func(r io.Reader, each func(records []byte) error) error

	// Dir is a new and empty folder that is to become the data directory of a node; "": the backup is checked, and nothing is written.
	Dir string
	// Node is the name of the node that is to have it, Cluster whether that is one of several. Of use with Dir only.
	Node    string
	Cluster bool
	// AtRest encrypts what is written into Dir, which is its folder; nil: nothing is.
	AtRest *atrest.Disk
	// Facts are put on the audit record of the node with the import; it is called once all was read.
	Facts func() audit.Facts
}

// Backup is what a backup holds.
type Backup struct {
	backup.Head
	// Bytes is its length.
	Bytes int64
	// Counters is what the section of counters holds.
	Counters caps.Census
	// Policy is the version in force, Policies how many are kept, Pilot whether one is tried out.
	Policy, Policies int
	Pilot            bool
	// Documents are joined documents: counts, dial-backs, pilots, heads of audit logs.
	Documents int
	// Lists are sorted as they stand in the backup.
	Lists []BackupOfList
}

// BackupOfList is what a backup holds of one list.
type BackupOfList struct {
	Name string
	// Generation is the one in use, 0: it was never uploaded; Keys is how many members it has. Previous is the one before; 0: none.
	Generation, Previous uint64
	Keys                 uint64
	// Uploaded is the Unix second of its upload; 0: never.
	Uploaded uint64
	// Changes are keys changed since.
	Changes uint64
}

// ReadBackup reads a backup of which the Head was read, to its end, and checks every byte of it: it can be opened with the secret, and is what a node
// writes. With BackupOptions.Dir it makes the data directory of a node that goes on where the backup ends; on an error what is in the folder is of no
// use. Errors wrap backup.ErrDamaged, backup.ErrVersion, identity.ErrOtherSecret, identity.ErrEpoch, or are those of the disk.
func ReadBackup(r *backup.Reader, o BackupOptions) (b Backup, err error) {
	b.Head = r.Head
	in := backupReader{o: o, found: &b, newest: policyVersion{}}
	b.Counters.Beside = besideCounters{trust.NewBook()}
	if err := in.open(r); err != nil {
		return b, err
	}
	if o.Dir == "" {
		in.lists = newListChecker(o.Secret)
	} else if in.lists, err = newListWriter(&o); err != nil {
		return b, err
	}
	err = in.sections(r)
	err = errors.Join(err, in.lists.close())
	if b.Bytes = r.Bytes(); err != nil {
		return b, err
	}
	if err := in.whole(); err != nil {
		return b, err
	}
	if o.Dir != "" {
		err = in.noteImport()
	}
	return b, err
}

// backupReader reads the sections of a backup.
type backupReader struct {
	o        BackupOptions
	found    *Backup
	lists    listTaker
	newest   policyVersion
	counters bool
}

// open gives the reader its key, and the secret the epoch of the backup.
func (in *backupReader) open(r *backup.Reader) error {
	h, secret := &r.Head, in.o.Secret
	if h.Fingerprint != secret.Fingerprint() {
		return fmt.Errorf("%w: the snapshot needs the one with fingerprint %.32q, and this one has %q: give the secret file of the cluster that it was taken of",
			identity.ErrOtherSecret, h.Fingerprint, secret.Fingerprint())
	}
	key, err := secret.BackupKey(h.Epoch, h.Salt)
	if err == nil {
		err = secret.Epochs().Activate(h.Epoch)
	}
	if err != nil {
		return fmt.Errorf("the snapshot is sealed in the epoch of the secret with fingerprint %.32q: %w", h.Epoch, err)
	}
	return r.Open(key)
}

func (in *backupReader) sections(r *backup.Reader) error {
	for {
		s, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = in.section(s, r)
		}
		if err == nil { // what is left of it belongs to it
			err = nothingLeft(r)
		}
		if err != nil {
			if s.Kind != "" {
				err = fmt.Errorf("section %s from byte %d: %w", s, s.At, err)
			}
			return err
		}
	}
}

func nothingLeft(r io.Reader) error {
	n, err := io.Copy(io.Discard, r)
	if n > 0 && err == nil {
		err = fmt.Errorf("%w: it has more than it says", backup.ErrDamaged)
	}
	return err
}

func (in *backupReader) section(s backup.Section, r io.Reader) error {
	switch s.Kind {
	case backupPolicy:
		return in.policy(s.Name, r)
	case backupDocument:
		return in.document(s.Name, r)
	case backupPrevious, backupList:
		return in.generation(s, r)
	case backupChanges:
		return in.changes(s.Name, r)
	case backupCounters:
		if in.counters {
			return fmt.Errorf("%w: there are two of them", backup.ErrDamaged)
		}
		in.counters = true
		return in.o.Counters(r, in.found.Counters.Add)
	}
	return fmt.Errorf("%w: it is of no known kind", backup.ErrVersion)
}

// whole says what a backup lacks that every one has.
func (in *backupReader) whole() error {
	switch {
	case !in.counters:
		return fmt.Errorf("%w: it has no counters", backup.ErrDamaged)
	case in.found.Policies == 0 && in.o.Dir != "":
		return fmt.Errorf("%w: it has no policy", backup.ErrDamaged)
	}
	if in.found.Policies > 0 {
		if _, err := policy.Parse([]byte(in.newest.Text), in.newest.From); err != nil {
			return fmt.Errorf("policy version %d of the snapshot: %w", in.newest.Version, err)
		}
	}
	return nil
}

// noteImport begins the audit record of the node, with what it was made of.
func (in *backupReader) noteImport() error {
	log, err := audit.Open(audit.Options{Dir: filepath.Join(in.o.Dir, "audit"), Node: in.o.Node, Key: in.o.Secret.AuditKey(), Open: AuditFiles(in.o.AtRest)})
	if err != nil {
		return err
	}
	facts := audit.Facts{"from_node": in.found.Node, "taken": in.found.Taken.UTC().Format("2006-01-02T15:04:05Z"), "policy": in.found.Policy, "bytes": uint64(in.found.Bytes)}
	maps.Copy(facts, in.o.Facts())
	_, err = log.Append(audit.Entry{Action: audit.SnapshotImport, Outcome: audit.Done, Who: audit.Who{By: audit.ByCommand}, After: facts})
	return errors.Join(err, log.Close())
}
