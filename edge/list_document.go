package edge

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"restraint/suppress"
)

const (
	// listPrefix begins the names of all documents of lists.
	listPrefix = "list."
	// lostDocument says that changes of lists were lost.
	lostDocument = "lists.lost"
	// listVersion is the form of both.
	listVersion = 1
)

// listDocument says which upload of a list is in use in the whole cluster.
type listDocument struct {
	Version int    `json:"version"`
	List    string `json:"list"`
	suppress.Publication
	// Deleted: the list was deleted by Order, which is then Generation too.
	Deleted bool `json:"deleted,omitempty"`
	// Uploads are the one in use, unless Deleted, and the one before, if any.
	Uploads []listUpload `json:"uploads,omitempty"`
}

// listUpload is where the key file of an upload is.
type listUpload struct {
	Object   string `json:"object"`
	Shipment string `json:"shipment"` // as AppendShipment writes it

	shipment suppress.Shipment
}

// lostListChanges is the content of lostDocument: uploads with a lower number may
// lack changes.
type lostListChanges struct {
	Version int    `json:"version"`
	Number  uint64 `json:"number"`
}

// listDocumentName is the name of a list's document: the list's, but for bytes that a
// key of the cluster cannot have.
func listDocumentName(list string) string {
	name := []byte(listPrefix)
	for _, c := range []byte(list) {
		if c == '-' || c == '_' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' {
			name = append(name, c)
			continue
		}
		name = append(name, '=')
		name = hex.AppendEncode(name, []byte{c})
	}
	return string(name)
}

var errListDocument = errors.New("no document of a list")

// errListNewer says that a newer program wrote the document.
var errListNewer = errors.New("written by a newer version of this program; update this node")

// parseListDocument reads what appendListDocument wrote, and aliases nothing of b.
func parseListDocument(name string, b []byte) (*listDocument, error) {
	var d listDocument
	if err := json.Unmarshal(b, &d); err != nil {
		return nil, fmt.Errorf("%w: %v", errListDocument, err)
	}
	if d.Version > listVersion {
		return nil, errListNewer
	}
	if d.Version != listVersion || listDocumentName(d.List) != name || !strings.HasPrefix(name, listPrefix) {
		return nil, fmt.Errorf("%w: version %d of list %q", errListDocument, d.Version, d.List)
	}
	if d.Order < d.Generation || d.Generation < 1 || d.Order >= 1<<62 || d.Deleted != (len(d.Uploads) == 0) || len(d.Uploads) > 2 ||
		d.Deleted && d.Order != d.Generation {
		return nil, fmt.Errorf("%w: generation %d by order %d, %d uploads", errListDocument, d.Generation, d.Order, len(d.Uploads))
	}
	for i := range d.Uploads {
		u := &d.Uploads[i]
		var err error
		if u.shipment, err = suppress.ParseShipment([]byte(u.Shipment)); errors.Is(err, suppress.ErrVersion) {
			return nil, errListNewer
		} else if err != nil {
			return nil, fmt.Errorf("%w: %w", errListDocument, err)
		}
		if u.shipment.List != d.List || u.Object == "" || i == 0 && u.shipment.Generation != d.Generation {
			return nil, fmt.Errorf("%w: upload %d is of generation %d of list %q", errListDocument, i, u.shipment.Generation, u.shipment.List)
		}
	}
	return &d, nil
}

func appendListDocument(dst []byte, d *listDocument) ([]byte, error) {
	b, err := json.Marshal(d)
	if err != nil {
		return dst, err
	}
	return append(dst, b...), nil
}

// upload makes the description of one that is kept under object.
func newListUpload(object string, sh *suppress.Shipment) (u listUpload, err error) {
	form, err := suppress.AppendShipment(nil, sh)
	return listUpload{Object: object, Shipment: string(form), shipment: *sh}, err
}

// previous is what the list can be rolled back to; nil: nothing.
func (d *listDocument) previous() *listUpload {
	if len(d.Uploads) < 2 || d.Uploads[0].shipment.Items != d.Uploads[1].shipment.Items {
		return nil
	}
	return &d.Uploads[1]
}
