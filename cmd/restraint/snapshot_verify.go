package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"time"

	"restraint/edge/backup"
	"restraint/edge/identity"
)

// snapshotVerifyCmd checks a file of a snapshot.
type snapshotVerifyCmd struct {
	SecretFile string `help:"File of the identifier secret: then every section is opened, and what is in it counted. Without it: that no byte was changed." placeholder:"FILE"`
	File       string `arg:"" help:"What restraint snapshot export wrote; - for standard input."`
}

// Run prints what is in the file; damage is an error that says where.
func (c *snapshotVerifyCmd) Run(p *process) error {
	var secret identity.Secret
	if c.SecretFile != "" {
		var err error
		if secret, err = identity.ReadSecret(c.SecretFile); err != nil {
			return secretFault(err, c.SecretFile)
		}
	}
	f, _, err := openFile(c.File, p.stdin)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	r, err := backup.NewReader(bufio.NewReaderSize(f, 1<<20))
	if err != nil {
		return backupFault(c.File, err)
	}
	if c.SecretFile == "" {
		err = sectionsOf(p.stdout, r, p.now())
	} else {
		b, e := checkBackup(r, secret)
		if err = e; err == nil {
			err = printBackup(p.stdout, &b, p.now())
		}
	}
	if err != nil {
		return backupFault(c.File, err)
	}
	_, err = fmt.Fprintln(p.stdout, "the file is whole")
	return err
}

// sectionsOf prints the sections without opening them.
func sectionsOf(w io.Writer, r *backup.Reader, now time.Time) error {
	t := newTable(w)
	printHead(t, &r.Head, now)
	for {
		s, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		var n int64
		if err == nil {
			n, err = io.Copy(io.Discard, r)
		}
		if err != nil {
			return err
		}
		t.row(s.Kind, plain(s.Name), grouped(n)+" bytes, sealed")
	}
	t.row("bytes", grouped(r.Bytes()))
	t.row("not checked", "what is in the sections: give --secret-file")
	return t.flush()
}
