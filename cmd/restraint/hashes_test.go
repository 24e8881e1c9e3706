package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// hashing are the packages of hashes that can be made to collide by whoever knows their key, or
// have none.
var hashing = []string{
	"hash/maphash", "hash/fnv", "hash/crc32", "hash/crc64", "hash/adler32", "github.com/zeebo/xxh3", "github.com/cespare/xxhash/v2",
	"github.com/minio/highwayhash", "github.com/dgraph-io/ristretto/v2/z",
}

// hashed says for each file that uses one why nobody outside can choose what collides. Maps of
// Go have a seed of the process, and so need no line.
var hashed = map[string]string{
	"edge/identity/identity.go":     "identifiers, under a subkey of the secret (HighwayHash); TestNothingCanBeChosen",
	"edge/identity/reports.go":      "what people report, under a subkey of the secret (HighwayHash); TestNothingCanBeChosen",
	"edge/identity/tags.go":         "names and exposures, under seeds of the secret (XXH3); TestNothingCanBeChosen",
	"edge/identity/lots.go":         "user keys, which are keyed hashes, under seeds of the secret",
	"edge/identity/token.go":        "the nonce of a token that the node made itself, or that it has opened and so made itself",
	"edge/consent/reader.go":        "consent strings, under a key of the process (HighwayHash)",
	"edge/access/failures.go":       "addresses of callers, under a seed of the process",
	"edge/atrest/frame.go":          "checksum of a frame's head, which is authenticated as well",
	"edge/backup/form.go":           "checksum of a frame: finds damage at once; SHA-256 of the section and of the whole stand behind it, and the seal",
	"edge/backup/read.go":           "the same",
	"edge/backup/write.go":          "the same",
	"edge/counting.go":              "makes the seed of the process that counting_events.go uses",
	"edge/counting_events.go":       "what a report is known by, under a seed of the process",
	"edge/surroundings.go":          "names of markets, which the policy has: whoever can put one need not choose hashes",
	"edge/traffic/form.go":          "checksum of what is kept: finds damage, decides nothing",
	"edge/replica/batch.go":         "checksum of a batch: finds damage; whoever may publish can make one that is right",
	"edge/replica/backup_read.go":   "checksum of a snapshot in a backup: finds damage",
	"edge/replica/publisher.go":     "checksum of a message that this node sent itself",
	"edge/replica/snapshot.go":      "checksum of a snapshot: finds damage",
	"edge/replica/snapshot_read.go": "the same",
	"suppress/change.go":            "checksum of a change: finds damage",
	"suppress/journal.go":           "checksum of a journal: finds damage",
}

// Every use of a hash that is not cryptographic is one that somebody has thought about: what
// comes from outside is hashed under a key or seed that its sender does not know.
func TestHashesAreKeyed(t *testing.T) {
	found := map[string]bool{}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "loadtest" || strings.HasPrefix(d.Name(), ".") && d.Name() != ".."):
			return fs.SkipDir // the load test is a caller
		case !strings.HasSuffix(path, ".go"), strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, i := range file.Imports {
			if name, _ := strconv.Unquote(i.Path.Value); slices.Contains(hashing, name) {
				relative, _ := filepath.Rel("../..", path)
				found[filepath.ToSlash(relative)] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for file := range found {
		if hashed[file] == "" {
			t.Errorf("%s hashes something: say in this table why nobody outside can choose what collides", file)
		}
	}
	for file := range hashed {
		if !found[file] {
			t.Errorf("%s hashes nothing any more", file)
		}
	}
}
