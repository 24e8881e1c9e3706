package loadtest

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// judged is one verdict of an answer, as far as a load test needs it.
type judged uint8

const (
	judgedShow judged = iota
	judgedSkip
	judgedCap // skipped for the reason cap
)

// decided is what an answer to a decide request says. It is used again and again by
// one worker; token aliases the answer.
type decided struct {
	verdicts []judged
	token    []byte
	reasons  map[string]*int64 // of all answers so far
	met      []*int64          // of reasons, by this answer
}

func newDecided() decided { return decided{reasons: map[string]*int64{}} }

var (
	keyDecisions = []byte(`"decisions":[`)
	keyShow      = []byte(`"show":`)
	keyToken     = []byte(`"token":"`)
	valueTrue    = []byte("true")
	valueFalse   = []byte(`false,"reason":"`)
)

// read reads an answer to a request of so many candidates. Verdicts may be fewer, but
// at least one, where want is true.
func (d *decided) read(body []byte, candidates int, want, brief bool) error {
	d.reset()
	if brief {
		return d.readBrief(body, candidates)
	}
	if !d.scan(body) {
		d.reset()
		if err := d.parse(body); err != nil {
			return err
		}
	}
	if n := len(d.verdicts); n > candidates || n < candidates && !want || n == 0 {
		return fmt.Errorf("read answer: %w: %d verdicts for %d candidates", ErrNode, n, candidates)
	}
	for _, n := range d.met {
		*n++
	}
	return nil
}

func (d *decided) reset() { d.verdicts, d.token, d.met = d.verdicts[:0], nil, d.met[:0] }

// scan reads an answer in the form that a node writes: compact, show before reason.
// None of the keys it looks for can stand inside a JSON string, where quotes are
// escaped. False: it is written in another way.
func (d *decided) scan(body []byte) bool {
	at := bytes.Index(body, keyDecisions)
	if at < 0 {
		return false
	}
	if head := body[:at]; len(head) > 0 {
		if i := bytes.Index(head, keyToken); i >= 0 {
			token := head[i+len(keyToken):]
			end := bytes.IndexByte(token, '"')
			if end < 0 {
				return false
			}
			d.token = token[:end]
		}
	}
	for rest := body[at+len(keyDecisions):]; ; {
		i := bytes.Index(rest, keyShow)
		if i < 0 {
			return true
		}
		rest = rest[i+len(keyShow):]
		switch {
		case bytes.HasPrefix(rest, valueTrue):
			d.verdicts = append(d.verdicts, judgedShow)
		case bytes.HasPrefix(rest, valueFalse):
			rest = rest[len(valueFalse):]
			end := bytes.IndexByte(rest, '"')
			if end <= 0 {
				return false
			}
			d.skip(rest[:end])
		default:
			return false
		}
	}
}

// skip notes a verdict of skip.
func (d *decided) skip(reason []byte) {
	n := d.reasons[string(reason)]
	if n == nil {
		n = new(int64)
		d.reasons[string(reason)] = n
	}
	d.met = append(d.met, n)
	if string(reason) == "cap" {
		d.verdicts = append(d.verdicts, judgedCap)
	} else {
		d.verdicts = append(d.verdicts, judgedSkip)
	}
}

// parse reads an answer in any form of JSON.
func (d *decided) parse(body []byte) error {
	var a struct {
		Token     string    `json:"token"`
		Decisions []verdict `json:"decisions"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return fmt.Errorf("read answer: %w: %w", ErrNode, err)
	}
	for _, v := range a.Decisions {
		if v.Show == (v.Reason != "") {
			return fmt.Errorf("read answer: %w: show is %t and the reason %q", ErrNode, v.Show, v.Reason)
		}
	}
	for _, v := range a.Decisions {
		if v.Show {
			d.verdicts = append(d.verdicts, judgedShow)
		} else {
			d.skip([]byte(v.Reason))
		}
	}
	if a.Token != "" {
		d.token = []byte(a.Token)
	}
	return nil
}

// readBrief reads the short form, which names what may be shown and nothing else.
func (d *decided) readBrief(body []byte, candidates int) error {
	var a struct {
		Token string `json:"token"`
		Show  *[]int `json:"show"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return fmt.Errorf("read answer: %w: %w", ErrNode, err)
	}
	if a.Show == nil {
		return fmt.Errorf("read answer: %w: no list of what may be shown", ErrNode)
	}
	for range candidates {
		d.verdicts = append(d.verdicts, judgedSkip)
	}
	for _, i := range *a.Show {
		if i < 0 || i >= candidates {
			return fmt.Errorf("read answer: %w: it shows candidate %d of %d", ErrNode, i, candidates)
		}
		d.verdicts[i] = judgedShow
	}
	if a.Token != "" {
		d.token = []byte(a.Token)
	}
	return nil
}
