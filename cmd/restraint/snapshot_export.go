package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"restraint/edge/backup"
	"restraint/edge/durable"
)

// snapshotExportCmd fetches a snapshot of a running node.
type snapshotExportCmd struct {
	nodeFlags
	whyFlag
	Out string `help:"Where to: FILE.part until it is whole, then FILE, in place of an older one; - for standard output, which must not stand still for ten seconds." required:"" placeholder:"FILE"`
}

// Run writes the file and prints what it is of.
func (c *snapshotExportCmd) Run(ctx context.Context, p *process) error {
	node, err := c.open(p)
	if err != nil {
		return err
	}
	if c.Out == "-" {
		_, _, err := c.fetch(ctx, p, node, p.stdout)
		return err
	}
	head, sum, err := c.save(ctx, p, node)
	if err != nil {
		return err
	}
	t := newTable(p.stdout)
	printHead(t, &head, p.now())
	t.row("file", c.Out)
	t.row("SHA-256", sum)
	t.row("next", "restraint snapshot verify --secret-file SECRET "+c.Out)
	return t.flush()
}

// save writes the file, whole or not at all.
func (c *snapshotExportCmd) save(ctx context.Context, p *process, node *client) (head backup.Head, sum string, err error) {
	part := c.Out + ".part"
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return head, "", wrongUse("--out %q: %w", c.Out, err)
	}
	if err = f.Chmod(0o600); err == nil { // one that was left may have had another mode
		head, sum, err = c.fetch(ctx, p, node, f)
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(part, c.Out)
	}
	if err != nil {
		_ = os.Remove(part) // the error is told; what is left of the file is of no use
		return head, "", err
	}
	return head, sum, durable.SyncDir(filepath.Dir(c.Out))
}

// fetch copies a snapshot to out and checks on the way that it comes whole.
func (c *snapshotExportCmd) fetch(ctx context.Context, p *process, node *client, out io.Writer) (head backup.Head, sum string, err error) {
	resp, err := node.send(ctx, request{method: http.MethodGet, path: "/v1/snapshot", why: c.Why})
	if err != nil {
		return head, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	bar := newProgress(p.stderr, p.terminal, p.now, 0, false)
	defer bar.finish()
	whole := sha256.New()
	buffered := bufio.NewWriterSize(out, 1<<20)
	r, err := backup.NewReader(io.TeeReader(resp.Body, io.MultiWriter(buffered, whole, bar)))
	if err == nil {
		head = r.Head
		for err == nil {
			_, err = r.Next()
		}
	}
	if !errors.Is(err, io.EOF) {
		if ctx.Err() != nil {
			return head, "", errors.New("interrupted")
		}
		return head, "", fmt.Errorf("the snapshot of the node at %s did not come whole, and is not kept; the node's log says why: %w", c.Addr, err)
	}
	if err := buffered.Flush(); err != nil {
		return head, "", err
	}
	for _, why := range head.NotReady {
		_, _ = fmt.Fprintf(p.stderr, "warning: the node is not ready, and the snapshot may lack something: %s\n", plain(why))
	}
	return head, hex.EncodeToString(whole.Sum(nil)), nil
}
