package audit

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
)

// fileBytes is the size after which the next file begins, where Options says none. Chosen.
const fileBytes = 16 << 20

// logFile is one file of a log.
type logFile struct {
	path  string
	first uint64 // number of its first entry, by its name
}

var logName = regexp.MustCompile(`^([0-9]{16})\.jsonl$`)

func logPath(dir string, first uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%016d.jsonl", first))
}

// logFiles are the files of a log in their order.
func logFiles(dir string) (files []logFile, err error) {
	entries, err := os.ReadDir(dir) // sorted by name
	if err != nil {
		return nil, fmt.Errorf("list the audit record: %w", err)
	}
	for _, e := range entries {
		m := logName.FindStringSubmatch(e.Name())
		if m == nil || e.IsDir() {
			continue
		}
		first, err := strconv.ParseUint(m[1], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("list the audit record: %w", err)
		}
		files = append(files, logFile{filepath.Join(dir, e.Name()), first})
	}
	return files, nil
}
