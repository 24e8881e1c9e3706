package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"restraint/edge/durable"
)

// Open opens the log of a folder, or begins one. What a process that died left of an
// unfinished line is set aside and an entry says so; entries that do not fit the chain
// stay as they are, and an entry names the first. Only the newest file is looked at:
// Verify looks at all of them.
//
// Where the disk is full the log is opened all the same, and says what it has to say with
// the first Append that can be written.
func Open(o Options) (*Log, error) {
	if o.FileBytes == 0 {
		o.FileBytes = fileBytes
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the audit record: %w", err)
	}
	l := &Log{o: o, batch: newBatch(), create: createFile}
	var err error
	if l.signer, err = openSigner(o.Dir); err != nil {
		return nil, err
	}
	files, err := logFiles(o.Dir)
	if err != nil {
		return nil, err
	}
	if err := l.resume(files); err != nil {
		return nil, fmt.Errorf("open the audit record: %w", err)
	}
	if err := l.flush(); err != nil && !errors.Is(err, ErrNotWritten) {
		return nil, err
	}
	return l, nil
}

// resume finds the end of the log.
func (l *Log) resume(files []logFile) error {
	whole := true
	for i := len(files) - 1; i >= 0 && whole; i-- {
		f := &files[i]
		text, err := os.ReadFile(f.path)
		if err != nil {
			return err
		}
		if len(text) == 0 && i > 0 {
			continue // a process died before its first entry
		}
		found := l.scan(f, text)
		if l.file, err = os.OpenFile(f.path, os.O_RDWR, 0); err != nil {
			return err
		}
		l.path, l.tip = f.path, found.tip
		if err := l.mend(found, text); err != nil {
			return errors.Join(err, l.file.Close())
		}
		l.notes = append(l.notes, found.notes...)
		whole = false
	}
	l.introduce()
	return nil
}

// introduce has a log that begins say whose it is, and one with another key say that.
func (l *Log) introduce() {
	facts := Facts{"node": l.o.Node, "signing_key": l.signer.public(), "chain_key": keyFingerprint(&l.o.Key)}
	e := Entry{Action: RecordBegun, Outcome: Done, Who: Who{By: ByStart}, After: facts}
	if l.tip.seq == 0 && len(l.notes) == 0 {
		l.notes = append(l.notes, e)
		return
	}
	if !l.Names(l.signer.public()) {
		e.Action = RecordSigner
		l.notes = append(l.notes, e)
	}
}

// Names says whether the log has an entry that names a key by which heads are signed: its
// own, as a rule in the first entry, or one that it had before. It reads files until it
// finds one. A text that holds the key anywhere else does no harm, since Verify looks
// closer.
func (l *Log) Names(key string) bool {
	files, err := logFiles(l.o.Dir)
	if err != nil {
		return false
	}
	mark := []byte(`"signing_key":"` + key + `"`)
	for i := range files {
		at := (len(files) - i) % len(files) // the first, then from the newest
		text, err := os.ReadFile(files[at].path)
		if err == nil && bytes.Contains(text, mark) {
			return true
		}
	}
	return false
}

// keyFingerprint tells two keys of a chain apart and says nothing of them.
func keyFingerprint(key *[32]byte) string {
	h := sha256.Sum256(append([]byte("restraint audit chain key "), key[:]...))
	return hex.EncodeToString(h[:8])
}

// scanned is what the newest file has.
type scanned struct {
	tip
	torn  []byte // after the last line break
	notes []Entry
}

// scan reads the newest file.
func (l *Log) scan(f *logFile, text []byte) (s scanned) {
	s.seq, s.size = f.first-1, int64(bytes.LastIndexByte(text, '\n')+1)
	s.torn = text[s.size:]
	number, damaged, last := 0, "", ""
	for line := range bytes.Lines(text[:s.size]) {
		number++
		p, err := parseLine(bytes.TrimSuffix(line, []byte("\n")), &l.o.Key)
		switch {
		case err != nil:
			s.seq++
			damaged = keep(damaged, fmt.Sprintf("line %d: %v", number, err))
			continue
		case !p.fits:
			damaged = keep(damaged, fmt.Sprintf("line %d: entry %d was altered, or written under another secret", number, p.Seq))
		case number > 1 && (p.Prev != s.mac || p.Seq != s.seq+1 && p.Action != RecordCut):
			damaged = keep(damaged, fmt.Sprintf("line %d: entry %d does not follow the one before it", number, p.Seq))
		}
		s.mac = p.mac
		if !p.fits {
			s.seq++ // nobody knows what number it had
			continue
		}
		s.seq = max(s.seq, p.Seq)
		if p.Action == RecordDamaged {
			last, _ = p.After["found"].(string)
		}
	}
	if damaged != "" && damaged != last {
		s.notes = append(s.notes, Entry{
			Action: RecordDamaged, Outcome: Done, Who: Who{By: ByStart}, After: Facts{"file": filepath.Base(f.path), "found": damaged},
		})
	}
	return s
}

func keep(first, next string) string {
	if first != "" {
		return first
	}
	return next
}

// mend sets an unfinished line aside and has an entry say so.
func (l *Log) mend(s scanned, text []byte) error {
	if len(s.torn) == 0 {
		return nil
	}
	sum := sha256.Sum256(s.torn)
	name := fmt.Sprintf("%s.torn-%x", strings.TrimSuffix(filepath.Base(l.path), ".jsonl"), sum[:4])
	err := durable.Write(filepath.Join(l.o.Dir, name), s.torn)
	if err == nil {
		err = l.file.Truncate(s.size)
	}
	if err == nil {
		err = l.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("set the unfinished end of %s aside: %w", l.path, err)
	}
	l.notes = append(l.notes, Entry{
		Action: RecordTorn, Outcome: Done, Who: Who{By: ByStart},
		After: Facts{"file": filepath.Base(l.path), "line": bytes.Count(text, []byte("\n")) + 1, "set_aside": name, "bytes": len(s.torn), "sha256": hex.EncodeToString(sum[:])},
	})
	return nil
}

// Lost has the log say that a head of its own, kept elsewhere, names entries that it does
// not have: its end was cut off, or it is an older copy. Numbers up to the head's are not
// used again, so that a gap stays to be seen. It does nothing for a head of another key, and
// for one that the log has grown past.
func (l *Log) Lost(h *Head) error {
	l.disk.Lock()
	defer l.disk.Unlock()
	seq := l.Tip().seq
	if h.Key != l.signer.public() || h.Seq <= seq {
		return nil
	}
	return l.write([]Entry{{
		Action: RecordCut, Outcome: Done, Who: Who{By: ByNode}, least: h.Seq + 1,
		Before: Facts{"newest_entry": seq}, After: Facts{"missing_from": seq + 1, "missing_to": h.Seq, "head_signed_at": h.At.UTC().Format(time.RFC3339), "head_mac": h.MAC},
	}})
}
