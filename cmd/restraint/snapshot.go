package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"

	"restraint/caps"
	"restraint/edge"
	"restraint/edge/backup"
	"restraint/edge/identity"
	"restraint/edge/replica"
)

// snapshotCmd takes what a node holds to another place, and back.
type snapshotCmd struct {
	Export snapshotExportCmd `cmd:"" help:"Write all that a running node holds to one file."`
	Verify snapshotVerifyCmd `cmd:"" help:"Check such a file, and show what is in it."`
	Import snapshotImportCmd `cmd:"" help:"Make the data folder of a node that goes on where such a file ends."`
}

// checkBackup reads a backup and writes nothing.
func checkBackup(r *backup.Reader, secret identity.Secret) (edge.Backup, error) {
	return edge.ReadBackup(r, edge.BackupOptions{Secret: secret, Counters: func(in io.Reader, each func([]byte) error) error {
		_, err := replica.Check(in, secret.Fingerprint(), secret.Epochs().Seals(), each)
		return err
	}})
}

// backupFault says what an error of reading a backup means for the file.
func backupFault(name string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, identity.ErrOtherSecret), errors.Is(err, identity.ErrEpoch), errors.Is(err, backup.ErrVersion):
		return fmt.Errorf("%s: %w", name, err)
	case errors.Is(err, backup.ErrCut):
		return fmt.Errorf("%s is not whole: %w; export it again", name, err)
	case errors.Is(err, backup.ErrDamaged), errors.Is(err, replica.ErrSnapshot), errors.Is(err, caps.ErrMalformed):
		return fmt.Errorf("%s cannot be used: %w; take another copy of it", name, err)
	}
	return fmt.Errorf("read %s: %w", name, err)
}

// plain is a text of a file that anybody may have made, as it may be printed.
func plain(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

// printHead prints what a backup is of.
func printHead(t *table, h *backup.Head, now time.Time) {
	t.row("taken", fmt.Sprintf("%s, %s ago", h.Taken.UTC().Format(time.RFC3339), roughTime(max(0, now.Sub(h.Taken)))))
	t.row("of", fmt.Sprintf("node %s, program %s", plain(h.Node), plain(h.Program)))
	needs := plain(h.Fingerprint)
	if h.Epoch != h.Fingerprint {
		needs += ", with the epoch " + plain(h.Epoch)
	}
	t.row("needs", "the secret with fingerprint "+needs)
	for _, why := range h.NotReady {
		t.row("NOT READY", "the node was not: "+plain(why))
	}
}

// printBackup prints what is in a backup.
func printBackup(w io.Writer, b *edge.Backup, now time.Time) error {
	number := func(n uint64) string { return grouped(int64(n)) }
	t := newTable(w)
	printHead(t, &b.Head, now)
	c := &b.Counters
	t.row("users", fmt.Sprintf("%s, with %s counters and %s exposures in them", number(c.Users), number(c.Counters), number(c.Exposures)))
	if c.Oldest != 0 {
		at := func(s caps.Second) string { return time.Unix(int64(s), 0).UTC().Format(time.RFC3339) }
		t.row("exposures", "from "+at(c.Oldest)+" to "+at(c.Newest))
	}
	t.row("refusals", fmt.Sprintf("users %s, choices %s, purchases %s, erased %s", number(c.RefusalUsers), number(c.Choices), number(c.Purchases), number(c.Erasures)))
	policy := fmt.Sprintf("version %d, and %s", b.Policy, plural(b.Policies-1, "older version"))
	if b.Pilot {
		policy += "; it is tried out on some people"
	}
	if b.Policies == 0 {
		policy = "none"
	}
	t.row("policy", policy)
	t.row("documents", strconv.Itoa(b.Documents))
	for i := range b.Lists {
		l := &b.Lists[i]
		said := "never uploaded"
		if l.Generation != 0 {
			said = fmt.Sprintf("generation %d, %s", l.Generation, plural(int(l.Keys), "key"))
		}
		if l.Uploaded != 0 {
			said += ", uploaded " + time.Unix(int64(l.Uploaded), 0).UTC().Format(time.RFC3339)
		}
		if l.Changes != 0 {
			said += ", " + plural(int(l.Changes), "key") + " changed since"
		}
		if l.Previous != 0 {
			said += fmt.Sprintf(", and generation %d before it", l.Previous)
		}
		t.row("list "+plain(l.Name), said)
	}
	t.row("bytes", grouped(b.Bytes))
	return t.flush()
}
