package edge

import (
	"bytes"
	"compress/gzip"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"restraint/edge/policy"
	"restraint/edge/shared"
)

// someVersion is a version with everything in it.
func someVersion() policyVersion {
	keep := policy.Keep{Limit: 3, Until: 1_800_000_000}
	keep.Name = "shoes"
	text := "campaigns: {}\n"
	return policyVersion{
		Version: 12, At: time.Unix(1_790_000_000, 5).UTC(), From: "api", SHA256: sum(text),
		Held: policy.Keeps{keep}, Shared: true, Text: text,
	}
}

// A document says all of a version.
func TestPolicyDocument(t *testing.T) {
	v := someVersion()
	document, err := v.document()
	if err != nil {
		t.Fatal(err)
	}
	got, err := parsePolicyDocument(document)
	if err != nil || !reflect.DeepEqual(got, v) {
		t.Errorf("%+v, %v; want %+v", got, err, v)
	}
	for i := range document {
		if _, err := parsePolicyDocument(document[:i]); err == nil {
			t.Fatalf("the first %d of %d bytes are a document", i, len(document))
		}
	}
}

// tried is a version that is tried out.
func tried() policyVersion {
	v := someVersion()
	before := someVersion()
	before.Version, before.Text = 9, "campaigns: {}\n# before\n"
	before.SHA256 = sum(before.Text)
	v.Pilot = &pilotOf{Percent: 10, Draw: 11, Since: v.At, Before: before}
	return v
}

// So does that of a pilot, of both its policies; cut short it is none.
func TestPolicyDocumentPilot(t *testing.T) {
	v := tried()
	document, err := v.document()
	if err != nil {
		t.Fatal(err)
	}
	got, err := parsePolicyDocument(document)
	if err != nil || !reflect.DeepEqual(got, v) {
		t.Errorf("%+v, %v; want %+v", got, err, v)
	}
	for i := range document {
		if _, err := parsePolicyDocument(document[:i]); err == nil {
			t.Fatalf("the first %d of %d bytes are a document", i, len(document))
		}
	}
	kept := v.withoutTexts()
	if kept.Text != "" || kept.Pilot.Before.Text != "" || v.Pilot.Before.Text == "" {
		t.Errorf("%+v of %+v", kept, v)
	}
}

// Versions of one text that are not for the same people are not the same.
func TestPilotSame(t *testing.T) {
	a, none := tried().Pilot, (*pilotOf)(nil)
	if !a.same(tried().Pilot) || !none.same(nil) || a.same(nil) || none.same(a) {
		t.Error("the same are not, or others are")
	}
	for _, change := range []func(*pilotOf){
		func(p *pilotOf) { p.Percent++ }, func(p *pilotOf) { p.Draw-- },
		func(p *pilotOf) { p.Before.Version-- }, func(p *pilotOf) { p.Before.SHA256 = sum("") },
	} {
		b := tried().Pilot
		if change(b); a.same(b) {
			t.Errorf("%+v is %+v", a, b)
		}
	}
}

// What a node does with the text that it read is refused where another version has come.
func TestPilotReadBefore(t *testing.T) {
	n := benchNode(t, 32<<20, []byte(armPolicy))
	tryOut(t, n, armPolicy+"# tried\n", 50)
	for read, want := range map[int]error{1: shared.ErrConflict, 2: nil} {
		if _, err := n.putPolicy(policyPut{text: []byte(armPolicy), from: "test", read: read, dry: true}); !errors.Is(err, want) {
			t.Errorf("read version %d: %v", read, err)
		}
	}
}

// What no policy asks to be kept is not taken from a document.
func TestPolicyDocumentHeld(t *testing.T) {
	for _, change := range []func(*policy.Keep){
		func(k *policy.Keep) { k.Limit = 0 },
		func(k *policy.Keep) { k.Per = policy.PerRun + 1 },
		func(k *policy.Keep) { k.Name = strings.Repeat("n", 129) },
		func(k *policy.Keep) { k.Channel = strings.Repeat("c", 129) },
	} {
		v := someVersion()
		change(&v.Held[0])
		document, err := v.document()
		if err != nil {
			t.Fatal(err)
		}
		if v, err := parsePolicyDocument(document); err == nil {
			t.Errorf("taken: %+v", v.Held)
		}
	}
}

// Whatever is in a document, what is taken of it is a version that can be written and
// read again.
func FuzzPolicyDocument(f *testing.F) {
	v := someVersion()
	document, err := v.document()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(document, false)
	pilot := tried()
	if document, err = pilot.document(); err != nil {
		f.Fatal(err)
	}
	f.Add(document, false)
	f.Add([]byte(`{"version":1,"at":"2026-01-01T00:00:00Z","sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}`), true)
	f.Add([]byte(`{"version":1,"at":"1000-01-01T00:00:00Z","held":[{"Limit":1},{"Limit":300}]}`), true)
	f.Fuzz(func(t *testing.T, document []byte, pack bool) {
		if pack { // so that the JSON is reached
			var b bytes.Buffer
			w := gzip.NewWriter(&b)
			if _, err := w.Write(document); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			document = b.Bytes()
		}
		v, err := parsePolicyDocument(document)
		if err != nil {
			if !reflect.DeepEqual(v, policyVersion{}) {
				t.Fatalf("%v, and yet %+v", err, v)
			}
			return
		}
		again, err := v.document()
		if err != nil {
			t.Fatal(err)
		}
		if w, err := parsePolicyDocument(again); err != nil || !reflect.DeepEqual(v, w) {
			t.Fatalf("%+v\n%+v, %v", v, w, err)
		}
	})
}
