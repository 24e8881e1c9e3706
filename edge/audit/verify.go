package audit

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"
)

// Witness is a head that was kept somewhere else than in the log.
type Witness struct {
	// From says where, for messages.
	From string
	Head
}

// Fault is one thing that is wrong with a log.
type Fault struct {
	// File and Line are where it shows, "" and 0 where it is about the end of the log; Seq is
	// the first entry that is wrong or missing.
	File string
	Line int
	Seq  uint64
	What string
}

// String is the fault on one line.
func (f Fault) String() string {
	if f.File == "" {
		return fmt.Sprintf("entry %d: %s", f.Seq, f.What)
	}
	return fmt.Sprintf("%s:%d: entry %d: %s", f.File, f.Line, f.Seq, f.What)
}

// Report is what Verify found.
type Report struct {
	// Node is whose log it is, by its first entry.
	Node    string
	Files   int
	Entries int
	// First and Last are the numbers of the first and the last entry, of the times Begun and
	// Ended.
	First, Last  uint64
	Begun, Ended time.Time
	// Faults are at most MaxFaults, the first one first; FaultsTotal counts all.
	Faults      []Fault
	FaultsTotal int
	// Unfinished are changes that have no outcome: at most MaxFaults of them, in order.
	Unfinished      []Entry
	UnfinishedTotal int
	// Notes are entries by which the log speaks of itself, but for its beginning.
	Notes []Entry
	// Witnessed is the largest number of an entry up to which a head proves the log, and
	// WitnessedBy where that is from; 0: no head fits.
	Witnessed   uint64
	WitnessedBy string
	// Fitting is how many heads are of this log and fit; Others are of other nodes.
	Fitting, Others int
}

// MaxFaults bounds what a report lists of each kind. Chosen.
const MaxFaults = 20

// Verify reads every entry of the log in dir, checks the chain under key and holds it to
// the heads of its node, which is the one that the log names where node is "". first is
// the number of the entry that the log is meant to begin with: 1, unless older files were
// taken away on purpose. An error says that a file could not be
// read; what is wrong with the entries is in the report.
func Verify(open Opener, dir string, key [32]byte, node string, first uint64, heads []Witness) (*Report, error) {
	files, err := logFiles(dir)
	if err != nil {
		return nil, err
	}
	v := &verifier{key: key, wanted: map[uint64]string{}, signers: map[string]bool{}, open: map[uint64]Entry{}, last: first - 1, first: first}
	for i := range heads {
		v.wanted[heads[i].Seq] = ""
	}
	given := len(heads)
	for i := range files {
		if err := v.file(open, &files[i]); err != nil {
			return nil, err
		}
	}
	if v.Entries == 0 {
		v.fault("", 0, first, "there is no entry at all in "+dir)
		v.Last = first - 1
	}
	if node == "" {
		node = v.Node
	}
	if v.Node != "" && v.Node != node {
		v.fault("", 0, first, fmt.Sprintf("the record is that of node %q, not of node %q", v.Node, node))
	}
	heads = slices.DeleteFunc(slices.Clone(heads), func(w Witness) bool { return node != "" && w.Node != node })
	v.Others = given - len(heads)
	slices.SortStableFunc(heads, func(a, b Witness) int { return cmp.Compare(b.Seq, a.Seq) })
	for i := range heads {
		v.head(&heads[i])
	}
	v.unfinished()
	slices.SortStableFunc(v.Faults, func(a, b Fault) int { return cmp.Compare(a.Seq, b.Seq) })
	return &v.Report, nil
}

type verifier struct {
	Report
	key     [32]byte
	wanted  map[uint64]string // number of a head -> mac of that entry
	signers map[string]bool   // keys that the log names
	open    map[uint64]Entry  // changes without an outcome
	order   []uint64          // of open
	first   uint64
	last    uint64
	mac     string
	lost    bool // what the next entry should follow is not known
	short   bool // a head names entries beyond the end
}

func (v *verifier) fault(file string, line int, seq uint64, what string) {
	v.FaultsTotal++
	if len(v.Faults) < MaxFaults {
		v.Faults = append(v.Faults, Fault{file, line, seq, what})
	}
}

func (v *verifier) file(open Opener, f *logFile) error {
	r, content, err := open.openToRead(f.path)
	if err != nil {
		return fmt.Errorf("read the audit record: %w", err)
	}
	defer func() { _ = r.Close() }() // nothing was written
	v.Files++
	name, number := filepath.Base(f.path), 0
	reader := bufio.NewReaderSize(content, MaxLine+1)
	for {
		line, err := reader.ReadSlice('\n')
		number++
		switch {
		case errors.Is(err, io.EOF) && len(line) == 0:
			return nil
		case errors.Is(err, io.EOF):
			v.fault(name, number, v.last+1, fmt.Sprintf("the line is not whole: it ends after %d bytes without a line break. The file was cut, or its node was stopped while it wrote and has not been started since", len(line)))
			v.lost = true
			return nil
		case errors.Is(err, bufio.ErrBufferFull):
			v.fault(name, number, v.last+1, fmt.Sprintf("a line of more than %d bytes is no entry", MaxLine))
			v.lose()
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = reader.ReadSlice('\n')
			}
		case err != nil:
			return fmt.Errorf("read the audit record: %w", err)
		default:
			v.line(name, number, bytes.TrimSuffix(line, []byte("\n")))
		}
	}
}

// lose passes over an entry that cannot be read.
func (v *verifier) lose() { v.last, v.lost = v.last+1, true }

// line checks one entry against the one before.
func (v *verifier) line(file string, number int, line []byte) {
	p, err := parseLine(line, &v.key)
	if err != nil {
		v.fault(file, number, v.last+1, err.Error())
		v.lose()
		return
	}
	expected := v.last + 1
	switch {
	case !p.fits:
		v.fault(file, number, expected, v.misfit(&p)) // its number cannot be believed
	case p.Seq > expected:
		v.fault(file, number, expected, missing(expected, p.Seq-1)+v.cutNote(&p))
	case p.Seq < expected && v.Entries == 0:
		v.fault(file, number, p.Seq, fmt.Sprintf("the log begins here, before entry %d, with which it is meant to begin", v.first))
	case p.Seq < expected:
		v.fault(file, number, p.Seq, fmt.Sprintf("it stands here a second time or in the wrong place, where entry %d belongs", expected))
		v.Entries++
		return
	case !v.lost && p.Prev != v.mac && (v.Entries > 0 || v.first == 1):
		v.fault(file, number, p.Seq, "it does not follow the entry before it, which is not the one that was there when it was written")
	}
	v.take(&p)
}

// misfit says what it means that a mac does not fit.
func (v *verifier) misfit(p *parsed) string {
	what := "its hash does not fit: it was altered"
	if of, _ := p.After["chain_key"].(string); p.Action == RecordBegun && of != "" && of != keyFingerprint(&v.key) {
		what += fmt.Sprintf(", or the record was kept under another secret (it names the chain key %s, this one is %s)", of, keyFingerprint(&v.key))
	}
	return what
}

func (v *verifier) cutNote(p *parsed) string {
	if p.Action == RecordCut {
		return "; the node found that itself, by a signed head"
	}
	return ""
}

func missing(from, to uint64) string {
	if from == to {
		return "it is missing"
	}
	return fmt.Sprintf("entries %d to %d are missing, %d in all", from, to, to-from+1)
}

// take goes on from an entry, whatever was wrong with it.
func (v *verifier) take(p *parsed) {
	v.Entries++
	if v.Entries == 1 {
		v.First, v.Begun = p.Seq, p.At
	}
	v.mac, v.lost = p.mac, false
	if !p.fits {
		v.last++
		v.Last = max(v.Last, v.last)
		return
	}
	v.last = p.Seq
	v.Last, v.Ended = max(v.Last, p.Seq), p.At
	if mac, wanted := v.wanted[p.Seq]; wanted && mac == "" {
		v.wanted[p.Seq] = p.mac
	}
	switch p.Action {
	case RecordBegun, RecordSigner:
		key, _ := p.After["signing_key"].(string)
		v.signers[key] = true
		if node, _ := p.After["node"].(string); node != "" {
			v.Node = node
		}
	case RecordTorn, RecordDamaged, RecordCut, RecordLost:
		if len(v.Notes) < MaxFaults {
			v.Notes = append(v.Notes, p.Entry)
		}
	}
	switch {
	case p.Of != 0:
		delete(v.open, p.Of)
	case p.Outcome == "":
		v.open[p.Seq] = p.Entry
		v.order = append(v.order, p.Seq)
	}
	if len(v.order) > 2*len(v.open)+1000 {
		v.order = v.stillOpen()
	}
}

func (v *verifier) stillOpen() (seqs []uint64) {
	for _, seq := range v.order {
		if _, open := v.open[seq]; open {
			seqs = append(seqs, seq)
		}
	}
	return seqs
}

func (v *verifier) unfinished() {
	for _, seq := range v.stillOpen() {
		v.UnfinishedTotal++
		if len(v.Unfinished) < MaxFaults {
			v.Unfinished = append(v.Unfinished, v.open[seq])
		}
	}
}

// head holds the log to a head.
func (v *verifier) head(w *Witness) {
	from := fmt.Sprintf("the head of %s (%s)", w.At.UTC().Format(time.RFC3339), w.From)
	switch err := w.Check(); {
	case err != nil:
		v.fault("", 0, w.Seq, from+": "+err.Error())
		return
	case w.Seq < v.first:
		return // of what was taken away on purpose
	case !v.signers[w.Key] && v.Entries > 0:
		v.fault("", 0, v.First, from+fmt.Sprintf(" is signed with the key %s of node %q, which this log does not name: another log was put in its place, or it was begun anew", w.Key, w.Node))
		return
	case w.Seq > v.Last && v.short:
		return // a larger head has said it
	case w.Seq > v.Last:
		v.short = true
		v.fault("", 0, v.Last+1, fmt.Sprintf("the end was cut off: %s; %s names entry %d", missing(v.Last+1, w.Seq), from, w.Seq))
		return
	}
	switch mac := v.wanted[w.Seq]; {
	case mac == "":
		v.fault("", 0, w.Seq, "it is missing or altered, and "+from+" names it")
	case mac != w.MAC:
		v.fault("", 0, w.Seq, "it is another one than "+from+" was signed over: the record was written anew from there or before")
	default:
		if v.Fitting++; w.Seq >= v.Witnessed { // the last that is given, where several are alike
			v.Witnessed, v.WitnessedBy = w.Seq, w.From
		}
	}
}
