package deploy

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	testNamed    = regexp.MustCompile(`\b(?:Test|Benchmark)[A-Z]\w+`)
	metricNamed  = regexp.MustCompile("`(restraint_[a-z_]+)`")
	settingNamed = regexp.MustCompile("`((?:limits|tls|nats|caps|keys|secret|encrypt)[._][a-z_.]+)`")
	testDeclared = regexp.MustCompile(`(?m)^func ((?:Test|Benchmark)\w+)\(`)
)

// tests are the names of all tests of the repository.
func tests(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, found := range testDeclared.FindAllSubmatch(text, -1) {
			names[string(found[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// Every test, metric, setting, file and heading that the security page names is there, and each
// defence against somebody names a test.
func TestSecurityPage(t *testing.T) {
	page := read(t, "security.md")
	known, metrics, settings := tests(t), scraped(t), printed(t, nil)
	checked := 0
	for _, name := range testNamed.FindAllString(page, -1) {
		if checked++; !known[name] {
			t.Errorf("there is no %s", name)
		}
	}
	for _, found := range metricNamed.FindAllStringSubmatch(page, -1) {
		if checked++; metrics[found[1]] == nil {
			t.Errorf("no node has %s", found[1])
		}
	}
	for _, found := range settingNamed.FindAllStringSubmatch(page, -1) {
		if _, is := settings[found[1]]; !is {
			t.Errorf("there is no setting %s", found[1])
		}
		checked++
	}
	for _, found := range regexp.MustCompile(`\]\(([^)#]+)(#[^)]*)?\)`).FindAllStringSubmatch(page, -1) {
		checked++
		if _, err := os.Stat(found[1]); err != nil {
			t.Error(err)
		}
		if found[2] != "" && !strings.Contains(strings.Join(headings(read(t, found[1])), " "), found[2][1:]) {
			t.Errorf("%s has no %s", found[1], found[2])
		}
	}
	if checked < 50 {
		t.Errorf("only %d names were found on the page", checked)
	}
	_, who, _ := strings.Cut(page, "## Who could want it")
	who, _, _ = strings.Cut(who, "\n* ")
	rows := 0
	for line := range strings.Lines(who) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| who |") {
			continue
		}
		cells := strings.Split(line, " | ")
		if rows++; len(cells) != 4 || !testNamed.MatchString(cells[3]) && !strings.Contains(cells[1], "next section") {
			t.Errorf("nothing shows this: %.80s", line)
		}
	}
	if rows < 10 {
		t.Errorf("only %d rows of who could want it", rows)
	}
}

// The limits that the page states are those of the program.
func TestSecurityPageLimits(t *testing.T) {
	page, settings := read(t, "security.md"), printed(t, nil)
	for _, c := range []struct{ key, value, said string }{
		{"limits.connections", "10000", "| 10,000 |"},
		{"limits.wait", "50ms", "| 50 ms |"},
		{"limits.upload", "20GiB", "20 GiB as sent"},
		{"limits.upload_time", "6h", "6 hours"},
	} {
		if settings[c.key] != c.value || !strings.Contains(page, c.said) {
			t.Errorf("%s is %s by default, and the page says %q: %v", c.key, settings[c.key], c.said, strings.Contains(page, c.said))
		}
	}
}
