package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"restraint/edge"
	"restraint/edge/audit"
)

// What a node had acknowledged when an export began is in the file, while events go on; a node made of it decides as the one before, and who was
// erased stays erased.
func TestSnapshotRoundTrip(t *testing.T) {
	dir := t.TempDir()
	a := fillNode(t, startServed(t, dir, "--node", "edge-1"), dir)
	untilSo(t, "the campaign is dialled back", func() bool { return a.lowered(t) })
	file := filepath.Join(t.TempDir(), "a.snapshot")
	acknowledged := a.underLoad(t, func() {
		restraint(t, "snapshot", "export", "--addr", a.url, "--out", file, "--why", "ticket 1").must(t, 0, "edge-1", "SHA-256")
	})
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	want := a.says(t)
	for _, line := range []string{"full shoes false cap", "hid shoes false hidden", "out shoes false opted_out", "c-5 shoes false suppressed", "a-1 shoes false suppressed", "buyer bought false purchased", "o-1 bought false purchased", "new shoes true"} {
		if !strings.Contains(want, line) {
			t.Fatalf("the test has no effect: %q is not in\n%s", line, want)
		}
	}
	restraint(t, "snapshot", "import", "--data", filepath.Join(dir, "data"), file).must(t, 1, "a node runs with the data folder")
	a.stop(t)
	if entries := entriesOf(t, dir); !slices.ContainsFunc(entries, func(e audit.Entry) bool { return e.Action == "snapshot.export" && e.Why == "ticket 1" }) ||
		!slices.ContainsFunc(entries, func(e audit.Entry) bool { return e.Action == "snapshot.export" && e.Outcome == "done" }) {
		t.Errorf("the export is not on record: %+v", entries)
	}

	restraint(t, "snapshot", "verify", file).must(t, 0, "counters", "the file is whole", "not checked")
	restraint(t, "snapshot", "verify", "--secret-file", a.secret(), file).must(t, 0, "list customers", "3 keys", "list adds", "erased 1", "policy", "version 3", "the file is whole")
	restraint(t, "snapshot", "import", "--data", filepath.Join(dir, "data"), file).must(t, 2, "holds the state of a node (audit, counters, joined, policies, suppress)")

	b := importedFrom(t, a, file)
	if got := b.says(t); got != want {
		t.Errorf("imported:\n%s\nexported:\n%s", got, want)
	}
	for i := range acknowledged {
		if _, body := b.post(t, "/v1/decide", fmt.Sprintf(`{"user":{"id":"load-%d"},"candidates":[{"campaign":"shoes"}]}`, i)); !strings.Contains(body, `"cap"`) {
			t.Fatalf("%d was acknowledged before the export began, and is not in it: %s", i, body)
		}
	}
	b.mustAccept(t, `{"type":"impression","id":"old","user":{"id":"gone"},"campaign":"shoes"}`) // within the skew of the erasure
	if got := b.says(t); got != want {
		t.Errorf("somebody erased is back:\n%s", got)
	}
	if status, answer := b.send(t, "POST", "/v1/lists/customers/rollback", "", ""); status != 200 {
		t.Errorf("roll back: %d %s", status, answer)
	}
	if got := b.says(t); !strings.Contains(got, "c-1 shoes false suppressed") || !strings.Contains(got, "c-4 shoes true") || !strings.Contains(got, "c-5 shoes false suppressed") {
		t.Errorf("rolled back to the upload before, and the changes since apply over it:\n%s", got)
	}
	if !b.lowered(t) {
		t.Error("a campaign that was dialled back is not")
	}
	// Of rows of few people nothing is told; enough have been asked about by now.
	if _, report := b.get(t, "/v1/report"); !strings.Contains(report, `"hides":1,`) {
		t.Errorf("the report has lost what was counted: %s", report)
	}
	b.stop(t)
	if entries := entriesOf(t, b.dir); entries[1].Action != "snapshot.import" || entries[1].Who.By != "command" || entries[1].After["from_node"] != "edge-1" {
		t.Errorf("the import is not on record: %+v", entries[1])
	}
	key := auditKeyOf(t, a.secret())
	inProcess(t, nil, "", "audit", "verify", "--data", filepath.Join(b.dir, "data"), "--audit-key", key).must(t, 0, "the record is whole")
	former := filepath.Join(b.dir, "data", "former", edge.HeadsFile("edge-1"))
	inProcess(t, nil, "", "audit", "verify", "--data", filepath.Join(dir, "data"), "--audit-key", key, "--head", former).must(t, 0, "the record is whole")
	inProcess(t, nil, "", "audit", "verify", "--data", filepath.Join(b.dir, "data"), "--audit-key", key, "--head", former).must(t, 1, "another log was put in its place, or it was begun anew")
}

// importedFrom is a node that was made of a file in an empty folder.
func importedFrom(t *testing.T, a held, file string) held {
	t.Helper()
	other := t.TempDir()
	restraint(t, "snapshot", "import", "--node", "edge-1", "--data", filepath.Join(other, "data"), "--secret-file", a.secret(), file).must(t, 0, "imported into", "Erasures, opt-outs and hides after")
	return held{startServed(t, other, "--node", "edge-1", "--secret-file", a.secret()), other}
}

// underLoad calls f while impressions come in, and returns how many people had been reported to be full, and that was acknowledged, before.
func (h held) underLoad(t *testing.T, f func()) (people int) {
	t.Helper()
	var acknowledged [2]atomic.Int64
	stop := make(chan struct{})
	var loading sync.WaitGroup
	for lane := range acknowledged {
		loading.Go(func() {
			for i := lane; ; i += len(acknowledged) {
				for _, id := range []string{"1", "2"} { // full under both policies
					if _, err := h.try("/v1/events", fmt.Sprintf(`{"type":"impression","id":%q,"user":{"id":"load-%d"},"campaign":"shoes"}`, id, i)); err != nil {
						t.Errorf("event %d: %v", i, err)
						return
					}
				}
				acknowledged[lane].Add(1)
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	full := func() int { return len(acknowledged) * int(min(acknowledged[0].Load(), acknowledged[1].Load())) }
	untilSo(t, "some load", func() bool { return full() > 60 })
	people = full()
	f()
	close(stop)
	loading.Wait()
	return people
}

// auditKeyOf is a file with the key of the record.
func auditKeyOf(t *testing.T, secret string) string {
	t.Helper()
	r := inProcess(t, map[string]string{"RESTRAINT_SECRET_FILE": secret}, "", "audit", "key")
	r.must(t, 0)
	return writeFile(t, "audit.key", r.stdout)
}

// In a cluster of new streams the imported node is first, and one that joins later with nothing has all of it, whether the file is of a node that was alone or one of several.
func TestSnapshotIntoCluster(t *testing.T) {
	for _, from := range []string{"alone", "cluster"} {
		t.Run(from, func(t *testing.T) {
			dir, args := t.TempDir(), []string{"--node", "a"}
			if from == "cluster" {
				url, _ := startNats(t)
				args = append(args, "--nats-urls", url)
			}
			first := bytes.Repeat([]byte{7}, 32)
			if from == "alone" { // in a later epoch of its secret
				if err := os.MkdirAll(filepath.Join(dir, "data"), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, "data", "secret"), first, 0o600); err != nil {
					t.Fatal(err)
				}
				inProcess(t, nil, "", "secret", "rotate", "--secret-file", filepath.Join(dir, "data", "secret")).must(t, 0)
			}
			a := fillNode(t, startServed(t, dir, args...), dir)
			want, file := a.says(t), filepath.Join(t.TempDir(), "a.snapshot")
			restraint(t, "snapshot", "export", "--addr", a.url, "--out", file).must(t, 0)
			a.stop(t)
			if from == "alone" {
				old := filepath.Join(t.TempDir(), "secret")
				if err := os.WriteFile(old, first, 0o600); err != nil {
					t.Fatal(err)
				}
				restraint(t, "snapshot", "verify", file).must(t, 0, ", with the epoch ")
				restraint(t, "snapshot", "import", "--data", filepath.Join(t.TempDir(), "data"), "--secret-file", old, file).must(t, 1, "sealed in an epoch that the secret file does not have")
			}

			url, _ := startNats(t) // with empty stores
			one, two := t.TempDir(), t.TempDir()
			restraint(t, "snapshot", "import", "--node", "a", "--data", filepath.Join(one, "data"), "--secret-file", a.secret(), "--nats-urls", url, file).must(t, 0)
			b := held{startServed(t, one, "--node", "a", "--secret-file", a.secret(), "--nats-urls", url), one}
			if got := b.says(t); got != want {
				t.Errorf("imported:\n%s\nexported:\n%s", got, want)
			}
			c := held{startServed(t, two, "--node", "b", "--secret-file", a.secret(), "--nats-urls", url), two}
			if got := c.says(t); got != want {
				t.Errorf("joined later:\n%s\nexported:\n%s", got, want)
			}
			if _, ready := c.get(t, "/readyz"); strings.Contains(ready, "upload it again") {
				t.Errorf("%s", ready)
			}
			if status, answer := b.send(t, "POST", "/v1/lists/customers/rollback", "", ""); status != 409 { // the cluster has the upload in use only
				t.Errorf("roll back: %d %s", status, answer)
			}
			// What happens from here on, on one, is known to the other.
			if status, answer := c.send(t, "POST", "/v1/lists/customers/remove", "text/plain", "c-5\n"); status != 200 {
				t.Fatalf("%d %s", status, answer)
			}
			untilAll(t, []*served{b.served, c.served}, `{"user":{"id":"c-5"},"candidates":[{"campaign":"shoes"}]}`, "")
			b.stop(t)
			c.stop(t)
		})
	}
}

// Where NATS still has its streams, what happened after the export is read from them before the node is ready: who was erased or has opted out since stays so.
func TestSnapshotThenWhatNATSHas(t *testing.T) {
	url, _ := startNats(t)
	dir := t.TempDir()
	a := fillNode(t, startServed(t, dir, "--node", "a", "--nats-urls", url), dir)
	file := filepath.Join(t.TempDir(), "a.snapshot")
	a.mustAccept(t, `{"type":"impression","id":"1","user":{"id":"later"},"campaign":"shoes"}`)
	restraint(t, "snapshot", "export", "--addr", a.url, "--out", file).must(t, 0)
	for path, body := range map[string]string{
		"/v1/users/erase":       `{"user":{"id":"later"},"keep_opt_out":false}`,
		"/v1/users/preferences": `{"user":{"id":"new"},"personalisation":false}`,
	} {
		if status, answer := a.post(t, path, body); status != 200 && status != 202 {
			t.Fatalf("%s: %d %s", path, status, answer)
		}
	}
	if status, answer := a.send(t, "POST", "/v1/lists/customers/add", "text/plain", "c-9\n"); status != 200 {
		t.Fatalf("%d %s", status, answer)
	}
	a.stop(t)
	other := t.TempDir()
	restraint(t, "snapshot", "import", "--node", "a2", "--data", filepath.Join(other, "data"), "--secret-file", a.secret(), "--nats-urls", url, file).must(t, 0)
	b := held{startServed(t, other, "--node", "a2", "--secret-file", a.secret(), "--nats-urls", url), other}
	said := b.says(t)
	if !strings.Contains(said, "new shoes false opted_out") {
		t.Errorf("an opt-out since the export is forgotten:\n%s", said)
	}
	if _, later := b.post(t, "/v1/users/lookup", `{"user":{"id":"later"}}`); strings.Contains(later, `"shoes"`) || !strings.Contains(later, `"erased_until"`) {
		t.Errorf("somebody erased since the export is back: %s", later)
	}
	untilAll(t, []*served{b.served}, `{"user":{"id":"c-9"},"candidates":[{"campaign":"shoes"}]}`, "suppressed")
	b.stop(t)
}
