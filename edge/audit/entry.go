package audit

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// Action is what was done. The set is closed.
type Action string

// Actions. A caller may add to the record of any of them but those of the record itself.
const (
	PolicyPut      Action = "policy.put"      // a text was put in force for everybody
	PolicyRollback Action = "policy.rollback" // an older text was
	PolicyPilot    Action = "policy.pilot"    // a text was put in force for a share of users, or such a trial ended
	PolicyTaken    Action = "policy.taken"    // the cluster's policy was put in force here

	ListPut      Action = "list.put" // a whole list was replaced
	ListAdd      Action = "list.add"
	ListRemove   Action = "list.remove"
	ListRollback Action = "list.rollback"
	ListDelete   Action = "list.delete"

	KeysLoaded  Action = "keys.loaded"  // the file of access keys was read
	NodeStarted Action = "node.started" // with the policy and the lists that it found

	SnapshotExport Action = "snapshot.export" // all that the node holds was sent to somebody
	SnapshotImport Action = "snapshot.import" // the node was made of such a file

	PersonPreferences Action = "person.preferences"
	PersonOptOut      Action = "person.opt_out" // by the person, behind a token
	PersonErase       Action = "person.erase"

	CampaignReview   Action = "campaign.review"    // a human released a campaign
	CampaignDialBack Action = "campaign.dial_back" // complaints lowered a campaign's caps, or paused it

	RecordBegun   Action = "record.begun"   // the first entry of every log
	RecordSigner  Action = "record.signer"  // heads are signed with another key from here on
	RecordTorn    Action = "record.torn"    // the end of a line that was never finished was set aside
	RecordDamaged Action = "record.damaged" // an entry was found altered
	RecordCut     Action = "record.cut"     // entries that a signed head names are not there
	RecordLost    Action = "record.lost"    // changes were made that could not be written down
)

var actions = map[Action]bool{
	PolicyPut: true, PolicyRollback: true, PolicyPilot: true, PolicyTaken: true,
	ListPut: true, ListAdd: true, ListRemove: true, ListRollback: true, ListDelete: true, KeysLoaded: true, NodeStarted: true, SnapshotExport: true, SnapshotImport: true,
	PersonPreferences: true, PersonOptOut: true, PersonErase: true, CampaignReview: true, CampaignDialBack: true,
	RecordBegun: true, RecordSigner: true, RecordTorn: true, RecordDamaged: true, RecordCut: true, RecordLost: true,
}

// By is how somebody came to change something. The set is closed.
type By string

// Ways to make a change.
const (
	ByKey      By = "key"      // a request with an access key
	ByLoopback By = "loopback" // a request to a node without keys: anybody on its machine
	ByPerson   By = "person"   // the person whom a token stands for
	ByCommand  By = "command"  // a command on this machine, while the node was down
	BySIGHUP   By = "sighup"   // a file that was read again at SIGHUP
	ByStart    By = "start"    // the node's start
	ByCluster  By = "cluster"  // another node of the cluster
	ByNode     By = "node"     // the node by itself
)

// Who made a change.
type Who struct {
	By By `json:"by"`
	// Key is the id of an access key, Client whose it is, Roles what it may do.
	Key    string `json:"key,omitempty"`
	Client string `json:"client,omitempty"`
	Roles  string `json:"roles,omitempty"`
}

// Outcome is what became of a change.
type Outcome string

// Outcomes. An entry without one says that a change is about to be made.
const (
	Done    Outcome = "done"
	Refused Outcome = "refused" // nothing has changed
	Failed  Outcome = "failed"  // not whole: see what stands beside it
)

// Facts are what somebody should know of a change, by name. A value is a string, a bool,
// an int, a uint64 or a []string.
type Facts map[string]any

// Entry is one line of the record.
type Entry struct {
	// Seq and At are set when the entry is written.
	Seq uint64    `json:"seq"`
	At  time.Time `json:"at"`

	Action Action `json:"action"`
	// Of is the entry that announced the change of which this one tells the outcome.
	Of      uint64  `json:"of,omitempty"`
	Outcome Outcome `json:"outcome,omitempty"`
	Who     Who     `json:"who"`

	// What it is about. People are keyed digests.
	Policy   int      `json:"policy,omitempty"` // version
	List     string   `json:"list,omitempty"`
	Campaign string   `json:"campaign,omitempty"`
	People   []string `json:"people,omitempty"`

	Before Facts  `json:"before,omitempty"`
	After  Facts  `json:"after,omitempty"`
	Why    string `json:"why,omitempty"`
	// Request and Trace are what the request was called that asked for the change: its
	// X-Request-Id, and the trace-id of its traceparent.
	Request string `json:"request_id,omitempty"`
	Trace   string `json:"trace_id,omitempty"`

	// Prev is the mac of the entry before.
	Prev string `json:"prev"`

	least uint64 // that Seq has, where numbers before it are taken
}

// Bounds of an entry, in bytes of UTF-8 but for the counts. Chosen.
const (
	MaxWhy    = 500
	maxName   = 256 // of a list, a campaign, a client
	maxFact   = 200 // of one text
	maxTexts  = 24  // of one list of texts
	maxFacts  = 16
	maxPeople = 64
	maxDigest = 64
	// maxFactBytes bounds the facts of one entry when they are encoded.
	maxFactBytes = 12 << 10
	// MaxLine bounds a line.
	MaxLine = 32 << 10
)

const (
	macText   = 2 * sha256.Size
	macBefore = `,"mac":"`
	macAfter  = `"}`
)

// appendLine appends the entry as a line with its line break, and returns its mac.
func appendLine(dst []byte, e *Entry, key *[32]byte) (line []byte, mac string) {
	e.bound()
	body, err := json.Marshal(e)
	if err != nil {
		panic("BUG: an entry that JSON cannot hold: " + err.Error())
	}
	body = body[:len(body)-1] // without its }
	mac = macOf(body, key)
	dst = append(append(append(dst, body...), macBefore...), mac...)
	return append(append(dst, macAfter...), '\n'), mac
}

func macOf(body []byte, key *[32]byte) string {
	h := hmac.New(sha256.New, key[:])
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

// errLine says that a line is none of this package's.
var errLine = errors.New("it is no entry")

// parsed is a line that was read.
type parsed struct {
	Entry
	mac string
	// fits: the mac is that of the line under the key.
	fits bool
}

// parseLine reads a line without its line break. Whether its mac fits is in the result,
// not in the error.
func parseLine(line []byte, key *[32]byte) (p parsed, err error) {
	if len(line) > MaxLine {
		return p, fmt.Errorf("%w: it has %d bytes, more than %d", errLine, len(line), MaxLine)
	}
	at := len(line) - len(macBefore) - macText - len(macAfter)
	if at < 1 || !bytes.HasPrefix(line[at:], []byte(macBefore)) || !bytes.HasSuffix(line, []byte(macAfter)) {
		return p, fmt.Errorf("%w: it does not end in a mac", errLine)
	}
	p.mac = string(line[at+len(macBefore) : len(line)-len(macAfter)])
	if err := json.Unmarshal(line, &p.Entry); err != nil {
		return p, fmt.Errorf("%w: %w", errLine, err)
	}
	if p.Seq == 0 {
		return p, fmt.Errorf("%w: it has no number", errLine)
	}
	p.fits = hmac.Equal([]byte(p.mac), []byte(macOf(line[:at], key)))
	return p, nil
}

// bound cuts what is longer than it may be.
func (e *Entry) bound() {
	if !actions[e.Action] {
		panic(fmt.Sprintf("BUG: %q is no action of the record", e.Action))
	}
	for _, name := range []*string{&e.Who.Key, &e.Who.Client, &e.Who.Roles, &e.List, &e.Campaign, &e.Request, &e.Trace} {
		*name = cut(*name, maxName)
	}
	e.Why = cut(e.Why, MaxWhy)
	people := e.People[:min(len(e.People), maxPeople)]
	e.People = nil
	for _, digest := range people {
		e.People = append(e.People, cut(digest, maxDigest))
	}
	for _, facts := range []*Facts{&e.Before, &e.After} {
		*facts = facts.bounded()
	}
}

// bounded is a copy of the facts that is short enough for a line.
func (f Facts) bounded() Facts {
	if len(f) == 0 {
		return nil
	}
	if len(f) > maxFacts {
		panic(fmt.Sprintf("BUG: %d facts in an entry", len(f)))
	}
	short := make(Facts, len(f))
	for name, value := range f {
		switch v := value.(type) {
		case bool, int, uint64:
			short[name] = v
		case string:
			short[name] = cut(v, maxFact)
		case []string:
			texts := make([]string, 0, min(len(v), maxTexts+1))
			for _, text := range v[:min(len(v), maxTexts)] {
				texts = append(texts, cut(text, maxFact))
			}
			if more := len(v) - maxTexts; more > 0 {
				texts = append(texts, fmt.Sprintf("and %d more", more))
			}
			short[name] = texts
		default:
			panic(fmt.Sprintf("BUG: a fact of type %T", value))
		}
	}
	if text, err := json.Marshal(short); err != nil || len(text) > maxFactBytes {
		return Facts{"left_out": fmt.Sprintf("%d bytes of facts", len(text))}
	}
	return short
}

// cut is s, or its beginning with a mark, in UTF-8.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	const mark = "..."
	end := most - len(mark)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + mark
}
