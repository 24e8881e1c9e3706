package main

import (
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var pushRows = flag.Int("push-rows", 100_000, "rows of the file that BenchmarkPush pushes; the memory of a node says something from 10,000,000 on")

// BenchmarkPush is `restraint push` of a gzipped CSV of hashed emails to a node in a
// process of its own, from the start of the command to its report: the list is
// served then. B/row is the memory that the node took at its highest above what it
// took at rest, as Linux has it; B/member is that of the list as it is served.
func BenchmarkPush(b *testing.B) {
	dir := b.TempDir()
	policy := "markets: [{name: all, require: none}]\nlists:\n  big: {id: [email_sha256], source: first_party, basis: contract}\ncampaigns:\n  c: {advertiser: a, suppress: [big]}\n"
	if err := os.WriteFile(filepath.Join(dir, "policy.yaml"), []byte(policy), 0o600); err != nil {
		b.Fatal(err)
	}
	file := filepath.Join(dir, "customers.csv.gz")
	if err := writeHashedEmails(file, *pushRows); err != nil {
		b.Fatal(err)
	}
	b.Run(fmt.Sprintf("rows=%.0e", float64(*pushRows)), func(b *testing.B) {
		rows := float64(*pushRows)
		for b.Loop() {
			b.StopTimer()
			if err := os.RemoveAll(filepath.Join(dir, "data")); err != nil {
				b.Fatal(err)
			}
			s := startServed(b, dir)
			rest := residentBytes(b, s.cmd.Process.Pid, "VmHWM")
			b.StartTimer()
			began := time.Now()
			out, err := exec.CommandContext(b.Context(), binary, "push", "--addr", s.url, "--list", "big", file).CombinedOutput()
			took := time.Since(began)
			b.StopTimer()
			if err != nil {
				b.Fatalf("push: %v\n%s", err, out)
			}
			var list struct{ Keys, Bytes float64 }
			if _, body := s.get(b, "/v1/lists/big"); json.Unmarshal([]byte(body), &list) != nil || list.Keys != rows {
				b.Fatalf("the list has not %g members: %s", rows, body)
			}
			b.ReportMetric(rows/took.Seconds(), "rows/s")
			b.ReportMetric((residentBytes(b, s.cmd.Process.Pid, "VmHWM")-rest)/rows, "B/row")
			b.ReportMetric(list.Bytes/rows, "B/member")
			if err := s.cmd.Process.Kill(); err != nil {
				b.Fatal(err)
			}
			<-s.exited
			b.StartTimer()
		}
	})
}

// writeHashedEmails writes a file such as a CRM exports: a header, and hashes.
func writeHashedEmails(path string, rows int) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	z := gzip.NewWriter(f)
	w := bufio.NewWriterSize(z, 1<<20)
	fmt.Fprintln(w, "Email")
	line := [65]byte{64: '\n'}
	for n := range rows {
		sum := sha256.Sum256(fmt.Appendf(nil, "person%d@example.com", n))
		hex.Encode(line[:64], sum[:])
		if _, err := w.Write(line[:]); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return f.Close()
}

// residentBytes is a line of /proc/PID/status: VmRSS, or VmHWM for the most there was.
func residentBytes(b *testing.B, pid int, line string) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Skipf("the memory of another process is not to be seen here: %v", err)
	}
	_, rest, _ := strings.Cut(string(status), line+":")
	var kib float64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		b.Fatalf("no %s in %s", line, status)
	}
	return kib * 1024
}
