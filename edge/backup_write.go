package edge

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"

	"restraint/edge/backup"
	"restraint/edge/shared"
	"restraint/suppress"
)

func (n *Node) backUpPolicies(w *backup.Writer) error {
	p := &n.policies
	p.mu.Lock()
	numbers := make([]int, len(p.versions))
	for i := range p.versions {
		numbers[i] = p.versions[i].Version
	}
	p.mu.Unlock()
	for _, number := range numbers {
		v, ok, err := p.version(number)
		if err != nil {
			return err
		}
		if !ok { // set aside meanwhile
			continue
		}
		text, err := json.Marshal(&v)
		if err == nil {
			err = backUpBytes(w, backupPolicy, fmt.Sprintf("%08d", number), text)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func backUpBytes(w *backup.Writer, kind, name string, b []byte) error {
	s, err := w.Section(kind, name)
	if err == nil {
		_, err = s.Write(b)
	}
	return err
}

func (n *Node) backUpDocuments(w *backup.Writer) error {
	for _, j := range []*shared.Joined{n.record.heads, n.dialling.documents, n.effects.joined, n.counting.joined} {
		if j == nil { // nothing is dialled back of a replay's
			continue
		}
		for name, form := range j.All() {
			if err := backUpBytes(w, backupDocument, name, form); err != nil {
				return err
			}
		}
	}
	return nil
}

func (n *Node) backUpLists(w *backup.Writer) error {
	for _, st := range n.lists.StatusAll() {
		b, err := n.lists.Backup(st.List)
		if err != nil {
			return err
		}
		for _, g := range []struct {
			kind string
			of   *suppress.Export
		}{{backupPrevious, b.Previous}, {backupList, b.Current}} {
			if g.of != nil {
				if err := backUpGeneration(w, g.kind, g.of); err != nil {
					return err
				}
			}
		}
		if err := n.backUpChanges(w, b); err != nil {
			return err
		}
	}
	return nil
}

func backUpGeneration(w *backup.Writer, kind string, e *suppress.Export) error {
	form, err := suppress.AppendShipment(make([]byte, 4), &e.Shipment)
	if err != nil {
		return err
	}
	binary.LittleEndian.PutUint32(form, uint32(len(form)-4))
	s, err := w.Section(kind, e.List)
	if err == nil {
		_, err = s.Write(form)
	}
	if err == nil {
		_, err = io.CopyBuffer(s, e.Reader(), make([]byte, 256<<10))
	}
	return err
}

func (n *Node) backUpChanges(w *backup.Writer, b *suppress.Backup) error {
	var s io.Writer
	var form []byte
	return b.Changes(func(seq uint64, c *suppress.Change) (err error) {
		if s == nil {
			if s, err = w.Section(backupChanges, b.List); err != nil {
				return err
			}
		}
		form = append(binary.LittleEndian.AppendUint64(form[:0], seq), 0, 0, 0, 0)
		if form, err = n.lists.AppendChange(form, c); err != nil {
			return err
		}
		binary.LittleEndian.PutUint32(form[8:], uint32(len(form)-12))
		_, err = s.Write(form)
		return err
	})
}
