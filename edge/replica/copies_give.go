package replica

import (
	"context"
	"os"
	"path/filepath"

	"restraint/edge/durable"
)

// importedFile says that what was imported is in no stream, and in no copy yet. It is empty.
const importedFile = "imported"

func isImported(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, importedFile))
	return err == nil
}

// give puts a copy of all that was imported where the nodes that come later look for it, since the streams of the cluster may never have had it.
// Until then the node is not ready.
func (c *copier) give(ctx context.Context) error {
	if !c.whole() {
		return nil
	}
	if err := c.askAge(ctx); err != nil {
		return err
	}
	kv, err := c.broker.keyValue(ctx)
	if err != nil {
		return err
	}
	c.keeper.since.Add(1) // the file that was imported says how far streams of another time were read
	if err := c.keeper.snapshot(); err != nil {
		return err
	}
	if err := c.copy(ctx, kv); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(c.keeper.options.Dir, importedFile)); err != nil {
		return err
	}
	c.owes.Store(false)
	return durable.SyncDir(c.keeper.options.Dir)
}
