package edge_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"restraint/edge"
	"restraint/edge/audit"
	"restraint/edge/backup"
	"restraint/edge/identity"
	"restraint/edge/policy"
	"restraint/edge/replica"
)

// backedUp is a node with a keeper.
func backedUp(t *testing.T) *node {
	t.Helper()
	keep, closed := withKeeper(t, t.TempDir())
	t.Cleanup(closed)
	n := startNode(t, "", string(policy.Example), func(o *edge.Options) {
		keep(o)
		o.RequestClock = false
	})
	n.must(201, "PUT", "/v1/lists/acme-customers?id=user.id", "text/plain", "u-8\nu-9\n", nil)
	n.must(200, "POST", "/v1/lists/acme-customers/add?id=user.id", "text/plain", "u-10\n", nil)
	return n
}

func secretOf(t *testing.T, n *node) identity.Secret {
	t.Helper()
	s, err := identity.ReadSecret(filepath.Join(n.dir, "secret"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func countersOf(s identity.Secret) func(io.Reader, func([]byte) error) error {
	return func(r io.Reader, each func([]byte) error) error {
		_, err := replica.Check(r, s.Fingerprint(), s.Epochs().Seals(), each)
		return err
	}
}

func readBackup(file []byte, o edge.BackupOptions) (edge.Backup, error) {
	r, err := backup.NewReader(bytes.NewReader(file))
	if err != nil {
		return edge.Backup{}, err
	}
	return edge.ReadBackup(r, o)
}

// There is one export at a time; one that is not taken further ends with its connection, and one that is under way ends with the node.
func TestOneSnapshotAtATime(t *testing.T) {
	n := backedUp(t)
	open := func(ctx *http.Request) *http.Response {
		t.Helper()
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	ask := func() *http.Request {
		req, err := http.NewRequest("GET", n.url+"/v1/snapshot", nil)
		if err != nil {
			t.Fatal(err)
		}
		return req
	}
	// More than the buffers between them hold, so that it stands still.
	members := strings.Builder{}
	for i := range 600_000 {
		members.WriteString(hex.EncodeToString(binary.BigEndian.AppendUint32(nil, uint32(i))) + "\n")
	}
	n.must(200, "PUT", "/v1/lists/acme-customers?id=user.id&force", "text/plain", members.String(), nil)
	first := open(ask())
	if first.StatusCode != 200 || first.Header.Get("Cache-Control") != "no-store" {
		t.Fatal(first.Status)
	}
	second := open(ask())
	text, _ := io.ReadAll(second.Body)
	second.Body.Close()
	if second.StatusCode != 503 || second.Header.Get("Retry-After") == "" {
		t.Errorf("a second one: %s %s", second.Status, text)
	}
	n.must(200, "POST", "/v1/decide", "application/json", `{"user":{"id":"u-1"},"candidates":[{"campaign":"spring-shoes"}]}`, nil) // meanwhile

	first.Body.Close()
	var third *http.Response
	for end := time.Now().Add(30 * time.Second); ; {
		if third = open(ask()); third.StatusCode == 200 || time.Now().After(end) {
			break
		}
		third.Body.Close()
	}
	if third.StatusCode != 200 {
		t.Fatalf("after the first has gone: %s", third.Status)
	}
	n.stop()
	if _, err := io.Copy(io.Discard, third.Body); err == nil {
		t.Error("an export of a node that has ended came to its end")
	}
	third.Body.Close()
	if !strings.Contains(n.log.String(), "snapshot not exported") {
		t.Error("nothing is logged of exports that did not end")
	}
}

// What is damaged is not exported: it would be trusted elsewhere.
func TestDamagedListIsNotExported(t *testing.T) {
	n := backedUp(t)
	n.stop()
	keys, err := filepath.Glob(filepath.Join(n.dir, "suppress", "lists", "acme-customers", "*.keys"))
	if err != nil || len(keys) == 0 {
		t.Fatal(keys, err)
	}
	for _, name := range keys {
		if err := os.Truncate(name, 100); err != nil {
			t.Fatal(err)
		}
	}
	keep, closed := withKeeper(t, t.TempDir())
	t.Cleanup(closed)
	again := startNode(t, n.dir, string(policy.Example), keep)
	if status, body := again.do("GET", "/v1/snapshot", "", ""); status != 409 || !strings.Contains(string(body), "acme-customers") {
		t.Errorf("%d %s", status, body)
	}
}

// backupPart is a section, opened.
type backupPart struct {
	kind, name string
	content    []byte
}

// openedBackup is a backup taken apart, with which wrong ones are made.
type openedBackup struct {
	t      *testing.T
	secret identity.Secret
	head   backup.Head
	parts  []backupPart
}

func openBackup(t *testing.T, n *node) openedBackup {
	t.Helper()
	status, whole := n.do("GET", "/v1/snapshot", "", "")
	if status != 200 {
		t.Fatalf("%d %s", status, whole)
	}
	r, err := backup.NewReader(bytes.NewReader(whole))
	if err != nil {
		t.Fatal(err)
	}
	b := openedBackup{t: t, secret: secretOf(t, n), head: r.Head}
	key, err := b.secret.BackupKey(b.head.Epoch, b.head.Salt)
	if err == nil {
		err = r.Open(key)
	}
	for err == nil {
		var s backup.Section
		if s, err = r.Next(); err == nil {
			content, _ := io.ReadAll(r) // its error is that of the next
			b.parts = append(b.parts, backupPart{s.Kind, s.Name, content})
		}
	}
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return b
}

// written is a file of parts, with every sum and seal right.
func (b *openedBackup) written(parts []backupPart) []byte {
	b.t.Helper()
	var out bytes.Buffer
	h := b.head
	w, err := backup.NewWriter(&out, &h, func(salt []byte) ([]byte, error) { return b.secret.BackupKey(h.Epoch, salt) })
	for i := 0; err == nil && i < len(parts); i++ {
		var s io.Writer
		if s, err = w.Section(parts[i].kind, parts[i].name); err == nil {
			_, err = s.Write(parts[i].content)
		}
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return out.Bytes()
}

func (b *openedBackup) options(dir string) edge.BackupOptions {
	return edge.BackupOptions{Secret: b.secret, Counters: countersOf(b.secret), Dir: dir, Node: "x", Facts: func() audit.Facts { return nil }}
}

// with are the parts, and another.
func (b *openedBackup) with(kind, name string, content []byte) []backupPart {
	return append(b.parts[:len(b.parts):len(b.parts)], backupPart{kind, name, content})
}

// but are the parts with the content of those of a kind changed; nil: without them.
func (b *openedBackup) but(kind string, change func(content []byte) []byte) (all []backupPart) {
	for _, p := range b.parts {
		if p.kind == kind {
			p.content = change(bytes.Clone(p.content))
		}
		if p.content != nil {
			all = append(all, p)
		}
	}
	return all
}

// of is the first part of a kind.
func (b *openedBackup) of(kind string) backupPart {
	for _, p := range b.parts {
		if p.kind == kind {
			return p
		}
	}
	b.t.Fatalf("there is no section of kind %s", kind)
	return backupPart{}
}

// faultyPolicy is a version that has the sum it states and a text that no node takes.
func faultyPolicy(content []byte) []byte {
	var v map[string]any
	if err := json.Unmarshal(content, &v); err != nil {
		panic(err)
	}
	text := "campaigns: {a: {purpose: nothing}}"
	sum := sha256.Sum256([]byte(text))
	v["text"], v["sha256"] = text, hex.EncodeToString(sum[:])
	content, _ = json.Marshal(v) // of what was read as JSON
	return content
}

func cut(b []byte) []byte { return b[:len(b)-1] }

// A file of sections that no node writes is refused, though every sum and seal of it is right, and nothing is written outside the folder.
func TestBackupOfWrongSections(t *testing.T) {
	n := backedUp(t)
	b := openBackup(t, n)
	if found, err := readBackup(b.written(b.parts), b.options("")); err != nil || found.Policy != 1 || len(found.Lists) != 1 || found.Lists[0].Keys != 2 || found.Lists[0].Changes != 1 || found.Documents == 0 {
		t.Fatalf("as it was: %+v, %v", found, err)
	}
	none := func([]byte) []byte { return nil }
	more := func(b []byte) []byte { return append(b, 1, 2) }
	list, policyPart, counters := b.of("list"), b.of("policy"), b.of("counters")
	for name, c := range map[string]struct {
		parts []backupPart
		want  error
	}{
		"a kind of a later program":   {b.with("later", "", nil), backup.ErrVersion},
		"no counters":                 {b.but("counters", none), backup.ErrDamaged},
		"counters twice":              {b.with("counters", "", counters.content), backup.ErrDamaged},
		"counters cut":                {b.but("counters", cut), replica.ErrSnapshot},
		"more behind the counters":    {b.but("counters", more), replica.ErrSnapshot},
		"a policy of another number":  {b.with("policy", "00000009", policyPart.content), backup.ErrDamaged},
		"a policy of another text":    {b.but("policy", func(b []byte) []byte { return bytes.Replace(b, []byte("acme"), []byte("acne"), 1) }), backup.ErrDamaged},
		"a policy that is none":       {b.but("policy", func([]byte) []byte { return []byte("{") }), backup.ErrDamaged},
		"a policy that no node takes": {b.but("policy", faultyPolicy), nil},
		"a document elsewhere":        {b.with("document", "traffic.x/../../../up", []byte("x")), backup.ErrDamaged},
		"a document of no kind":       {b.with("document", "secret", []byte("x")), backup.ErrDamaged},
		"a document that is too long": {b.with("document", "traffic.x", make([]byte, 1<<20)), backup.ErrDamaged},
		"a list under another name":   {b.with("list", "acme", list.content), backup.ErrDamaged},
		"a list twice":                {b.with("list", list.name, list.content), backup.ErrDamaged},
		"the upload before it, late":  {b.with("previous", list.name, list.content), backup.ErrDamaged},
		"a list cut":                  {b.but("list", cut), backup.ErrDamaged},
		"more behind a list":          {b.but("list", more), backup.ErrDamaged},
		"a key of another":            {b.but("list", swapped), backup.ErrDamaged},
		"a length beyond all":         {b.but("list", func(b []byte) []byte { return append([]byte{0xff, 0xff, 0xff, 0xff}, b[4:]...) }), backup.ErrDamaged},
		"a change cut":                {b.but("changes", cut), backup.ErrDamaged},
		"a change that is none":       {b.but("changes", swapped), backup.ErrDamaged},
		"half a sequence of a change": {b.but("changes", more), backup.ErrDamaged},
	} {
		b.refused(name, b.written(c.parts), c.want)
	}
}

// refused wants a file to be neither right nor imported, with an error that wraps want, if any.
func (b *openedBackup) refused(name string, file []byte, want error) {
	b.t.Helper()
	above := b.t.TempDir()
	dir := filepath.Join(above, "in", "here")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		b.t.Fatal(err)
	}
	for _, into := range []string{"", dir} {
		if _, err := readBackup(file, b.options(into)); err == nil || want != nil && !errors.Is(err, want) {
			b.t.Errorf("%s, into %q: %v", name, into, err)
		}
	}
	if found, _ := os.ReadDir(above); len(found) != 1 {
		b.t.Errorf("%s: it wrote beside the folder: %v", name, found)
	}
}

// swapped has its last byte changed.
func swapped(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)-1] ^= 1
	return b
}
