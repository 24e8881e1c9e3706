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

// A file of sections that no node writes is refused, though every sum and seal of it is right, and nothing is written outside the folder.
func TestBackupOfWrongSections(t *testing.T) {
	n := backedUp(t)
	secret := secretOf(t, n)
	status, whole := n.do("GET", "/v1/snapshot", "", "")
	if status != 200 {
		t.Fatalf("%d %s", status, whole)
	}
	type part struct {
		kind, name string
		content    []byte
	}
	var parts []part
	r, err := backup.NewReader(bytes.NewReader(whole))
	if err != nil {
		t.Fatal(err)
	}
	head := r.Head
	key, err := secret.BackupKey(head.Epoch, head.Salt)
	if err == nil {
		err = r.Open(key)
	}
	for err == nil {
		var s backup.Section
		if s, err = r.Next(); err == nil {
			content, _ := io.ReadAll(r)
			parts = append(parts, part{s.Kind, s.Name, content})
		}
	}
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	written := func(parts []part) []byte {
		t.Helper()
		var out bytes.Buffer
		h := head
		w, err := backup.NewWriter(&out, &h, func(salt []byte) ([]byte, error) { return secret.BackupKey(h.Epoch, salt) })
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
			t.Fatal(err)
		}
		return out.Bytes()
	}
	find := func(kind string) part {
		for _, p := range parts {
			if p.kind == kind {
				return p
			}
		}
		t.Fatalf("there is no section of kind %s", kind)
		return part{}
	}
	but := func(kind string, change func(p part) []part) []part {
		var all []part
		for _, p := range parts {
			if p.kind == kind {
				all = append(all, change(p)...)
			} else {
				all = append(all, p)
			}
		}
		return all
	}
	options := func(dir string) edge.BackupOptions {
		return edge.BackupOptions{Secret: secret, Counters: countersOf(secret), Dir: dir, Node: "x", Facts: func() audit.Facts { return nil }}
	}
	if b, err := readBackup(written(parts), options("")); err != nil || b.Policy != 1 || len(b.Lists) != 1 || b.Lists[0].Keys != 2 || b.Lists[0].Changes != 1 || b.Documents == 0 {
		t.Fatalf("as it was: %+v, %v", b, err)
	}
	parts = parts[:len(parts):len(parts)]
	list, changes, policyPart := find("list"), find("changes"), find("policy")
	other := bytes.Replace(policyPart.content, []byte("acme"), []byte("acne"), 1)
	var number map[string]any
	if err := json.Unmarshal(policyPart.content, &number); err != nil {
		t.Fatal(err)
	}
	number["text"] = "campaigns: {a: {purpose: nothing}}"
	sum := sha256.Sum256([]byte(number["text"].(string)))
	number["sha256"] = hex.EncodeToString(sum[:])
	faulty, _ := json.Marshal(number)
	same := func(p part, content []byte) []part { return []part{{p.kind, p.name, content}} }
	for name, c := range map[string]struct {
		parts []part
		want  error
	}{
		"a kind of a later program":   {append(parts, part{"later", "", nil}), backup.ErrVersion},
		"no counters":                 {but("counters", func(part) []part { return nil }), backup.ErrDamaged},
		"counters twice":              {but("counters", func(p part) []part { return []part{p, p} }), backup.ErrDamaged},
		"counters cut":                {but("counters", func(p part) []part { return same(p, p.content[:len(p.content)-1]) }), replica.ErrSnapshot},
		"more behind the counters":    {but("counters", func(p part) []part { return same(p, append(bytes.Clone(p.content), 0)) }), replica.ErrSnapshot},
		"a policy of another number":  {append(parts, part{"policy", "00000009", policyPart.content}), backup.ErrDamaged},
		"a policy of another text":    {but("policy", func(p part) []part { return same(p, other) }), backup.ErrDamaged},
		"a policy that is none":       {but("policy", func(p part) []part { return same(p, []byte("{")) }), backup.ErrDamaged},
		"a document elsewhere":        {append(parts, part{"document", "traffic.x/../../../up", []byte("x")}), backup.ErrDamaged},
		"a document of no kind":       {append(parts, part{"document", "secret", []byte("x")}), backup.ErrDamaged},
		"a document that is too long": {append(parts, part{"document", "traffic.x", make([]byte, 1<<20)}), backup.ErrDamaged},
		"a list under another name":   {but("list", func(p part) []part { return []part{{p.kind, "acme", p.content}} }), backup.ErrDamaged},
		"a list twice":                {but("list", func(p part) []part { return []part{p, p} }), backup.ErrDamaged},
		"a list cut":                  {but("list", func(p part) []part { return same(p, p.content[:len(p.content)-1]) }), backup.ErrDamaged},
		"a key of another":            {but("list", func(p part) []part { return same(p, swapped(p.content)) }), backup.ErrDamaged},
		"a length beyond all":         {but("list", func(p part) []part { return same(p, append([]byte{0xff, 0xff, 0xff, 0xff}, list.content[4:]...)) }), backup.ErrDamaged},
		"the generation before, late": {append(parts, part{"previous", list.name, list.content}), backup.ErrDamaged},
		"a change cut":                {but("changes", func(p part) []part { return same(p, changes.content[:len(changes.content)-1]) }), backup.ErrDamaged},
		"a change that is none":       {but("changes", func(p part) []part { return same(p, swapped(p.content)) }), backup.ErrDamaged},
		"half a sequence of a change": {but("changes", func(p part) []part { return same(p, append(bytes.Clone(changes.content), 1, 2)) }), backup.ErrDamaged},
		"a policy that no node takes": {but("policy", func(p part) []part { return same(p, faulty) }), nil},
	} {
		file := written(c.parts)
		for _, dir := range []string{"", filepath.Join(t.TempDir(), "in", "here")} {
			if dir != "" {
				if err := os.MkdirAll(dir, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			_, err := readBackup(file, options(dir))
			if err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("%s, into %q: %v", name, dir, err)
			}
			if up, _ := filepath.Glob(filepath.Join(filepath.Dir(filepath.Dir(dir)), "up*")); dir != "" && len(up) > 0 {
				t.Errorf("%s: it wrote %q", name, up)
			}
		}
	}
}

// swapped has its last byte changed.
func swapped(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)-1] ^= 1
	return b
}
