package edge

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"restraint/suppress"
)

// testListDocument is of a list with a name that no key can have, rolled back.
func testListDocument(t testing.TB) *listDocument {
	t.Helper()
	d := &listDocument{Version: listVersion, List: "käufer .*>", Publication: suppress.Publication{Order: 9, Generation: 5}}
	for _, generation := range []uint64{5, 7} {
		u, err := newListUpload("x.5.1", &suppress.Shipment{
			Version: 1, List: d.List, Publication: suppress.Publication{Order: generation, Generation: generation}, Start: generation,
			Bytes: shipmentBytes(t), Fingerprint: "f", SHA256: strings.Repeat("0", 64),
		})
		if err != nil {
			t.Fatal(err)
		}
		d.Uploads = append(d.Uploads, u)
	}
	return d
}

// shipmentBytes is the size of a key file without keys.
func shipmentBytes(t testing.TB) int64 {
	t.Helper()
	s, err := suppress.Open(suppress.Options{Dir: t.TempDir(), Hash: func(string, []byte) suppress.Key { return suppress.Key{} }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.DeleteAs("l", 2, 2); err != nil {
		t.Fatal(err)
	}
	e, err := s.Export("l")
	if err != nil {
		t.Fatal(err)
	}
	return e.Bytes
}

func TestListDocument(t *testing.T) {
	d := testListDocument(t)
	name := listDocumentName(d.List)
	if name != "list.k=c3=a4ufer=20=2e=2a=3e" {
		t.Errorf("name %q", name)
	}
	b, err := appendListDocument(nil, d)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := parseListDocument(name, b); err != nil || !reflect.DeepEqual(got, d) {
		t.Errorf("%+v is read as %+v, %v", d, got, err)
	}
	if p := d.previous(); p == nil || p.shipment.Generation != 7 {
		t.Errorf("previous %+v", p)
	}
	if _, err := parseListDocument("list.other", b); !errors.Is(err, errListDocument) {
		t.Errorf("under another name: %v", err)
	}
	for was, is := range map[string]string{
		`"order":9`: `"order":4`, `"generation":5`: `"generation":6`, `"uploads":[`: `"deleted":true,"uploads":[`, `"x.5.1"`: `""`,
		`"version":1`: `"version":0`, `\"start\":5`: `\"start\":6`,
	} {
		other := strings.Replace(string(b), was, is, 1)
		if _, err := parseListDocument(name, []byte(other)); other == string(b) || !errors.Is(err, errListDocument) {
			t.Errorf("%s: %v", is, err)
		}
	}
	if _, err := parseListDocument(name, bytes.Replace(b, []byte(`"version":1`), []byte(`"version":2`), 1)); !errors.Is(err, errListNewer) {
		t.Errorf("of a newer program: %v", err)
	}
}

func FuzzParseListDocument(f *testing.F) {
	d := testListDocument(f)
	name := listDocumentName(d.List)
	b, err := appendListDocument(nil, d)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(name, b)
	f.Add("list.x", []byte(`{"version":1,"list":"x","order":5,"generation":5,"deleted":true}`))
	f.Fuzz(func(t *testing.T, name string, b []byte) {
		d, err := parseListDocument(name, b)
		if err != nil {
			return
		}
		again, err := appendListDocument(nil, d)
		if err != nil {
			t.Fatal(err)
		}
		if same, err := parseListDocument(name, again); err != nil || !reflect.DeepEqual(same, d) {
			t.Fatalf("%+v, %v", same, err)
		}
	})
}
