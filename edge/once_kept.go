package edge

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"restraint/edge/durable"
	"restraint/edge/shared"
)

// Answers are kept in 256 documents, by the first byte of the key's hash. In a
// cluster they are documents of the cluster, so that a request may come again to any
// node; a node that is alone has them in files.
const (
	oncePrefix  = "once."
	onceVersion = 1
	// onceMost answers are in one document; the oldest go first. So 8,192 are kept, and
	// of some thousand a day hardly one goes before its time. Chosen.
	onceMost = 32
	// onceBytes bounds an answer, without its sample of rejected rows where that makes
	// it longer, onceDocumentBytes a document: all of them take 16 MiB at most. Chosen.
	onceBytes         = 4 << 10
	onceDocumentBytes = 64 << 10
)

// onceAnswer is a request that was done.
type onceAnswer struct {
	Key    string          `json:"key"`
	Asks   string          `json:"asks"`
	Body   string          `json:"body"`
	At     int64           `json:"at"` // Unix seconds
	Status int             `json:"status"`
	Answer json.RawMessage `json:"answer"`
}

// onceDocument is what is kept of them, in the order in which they were done.
type onceDocument struct {
	Version int          `json:"version"`
	Answers []onceAnswer `json:"answers"`
}

// find gives the answer under a key that is still to be kept, or nil.
func (d *onceDocument) find(key string, now time.Time) *onceAnswer {
	for i := range d.Answers {
		if a := &d.Answers[i]; a.Key == key && now.Unix()-a.At < int64(onceFor/time.Second) {
			return a
		}
	}
	return nil
}

// with puts a in, and lets go of what is too old or too much.
func (d *onceDocument) with(a onceAnswer, now time.Time) {
	d.Version = onceVersion
	d.Answers = slices.DeleteFunc(d.Answers, func(b onceAnswer) bool {
		return b.Key == a.Key || now.Unix()-b.At >= int64(onceFor/time.Second)
	})
	d.Answers = append(d.Answers, a)
	d.Answers = d.Answers[max(0, len(d.Answers)-onceMost):]
}

// encode lets go of the oldest answers where all do not fit.
func (d *onceDocument) encode() ([]byte, error) {
	for {
		text, err := json.Marshal(d)
		if err != nil || len(text) <= onceDocumentBytes || len(d.Answers) < 2 {
			return text, err
		}
		d.Answers = d.Answers[1:]
	}
}

func onceDocumentName(key string) string { return oncePrefix + key[:2] }

func (n *Node) onceFile(key string) string {
	return filepath.Join(n.options.Dir, "suppress", onceDocumentName(key))
}

// onceAnswers reads the document in which the key would be. One that cannot be read
// is empty: what is in it is done again.
func (n *Node) onceAnswers(key string) (d onceDocument, revision uint64, err error) {
	var text []byte
	if n.options.Lists == nil {
		text, err = os.ReadFile(n.onceFile(key))
		if errors.Is(err, fs.ErrNotExist) {
			return d, 0, nil
		}
	} else {
		ctx, cancel := context.WithTimeout(context.Background(), shareTimeout)
		defer cancel()
		name := onceDocumentName(key)
		err = n.options.Shared.List(ctx, name, func(found string, document []byte, at uint64) {
			if found == name {
				text, revision = document, at
			}
		})
	}
	if err != nil || json.Unmarshal(text, &d) != nil || d.Version != onceVersion {
		d = onceDocument{}
	}
	return d, revision, err
}

// keepOnce keeps an answer.
func (n *Node) keepOnce(a onceAnswer) error {
	if len(a.Answer) > onceBytes {
		var fields map[string]json.RawMessage
		err := json.Unmarshal(a.Answer, &fields)
		if err == nil {
			delete(fields, "rejected_sample")
			a.Answer, err = json.Marshal(fields)
		}
		if err != nil {
			return err
		}
	}
	if n.options.Lists == nil {
		n.onces.writing.Lock()
		defer n.onces.writing.Unlock()
	}
	for begun, races := time.Now(), 0; ; {
		err := n.keepOnceTry(a)
		switch {
		case errors.Is(err, shared.ErrConflict) && races < putRaces:
			races++
			continue
		case errors.Is(err, shared.ErrAway) && again(context.Background(), begun):
			continue
		}
		return err
	}
}

func (n *Node) keepOnceTry(a onceAnswer) error {
	d, revision, err := n.onceAnswers(a.Key)
	if err != nil {
		return err
	}
	d.with(a, time.Now())
	text, err := d.encode()
	if err != nil {
		return err
	}
	if n.options.Lists == nil {
		return durable.Write(n.onceFile(a.Key), text)
	}
	ctx, cancel := context.WithTimeout(context.Background(), shareTimeout)
	defer cancel()
	_, err = n.options.Shared.Put(ctx, onceDocumentName(a.Key), text, revision)
	return err
}
