package loadtest

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

var browser = flag.String("browser", "", "Chromium or Chrome, such as /usr/bin/chromium, to open the pages with; not given: chromium, where it is on the PATH")

// opened is what a browser made of a page, and what it had to say.
func opened(t *testing.T, page string) (dom, said string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(file, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	// No sandbox: tests may run as root. The time is virtual: it ends when the page is idle.
	cmd := exec.CommandContext(t.Context(), *browser, "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir="+t.TempDir(),
		"--no-first-run", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync", // asks nobody for anything
		"--enable-logging=stderr", "--virtual-time-budget=5000", "--dump-dom", "file://"+file)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	for line := range strings.Lines(errs.String()) {
		if strings.Contains(line, "CONSOLE") {
			said += line
		}
	}
	return out.String(), said
}

// A browser draws every chart, has nothing to complain of, and runs nothing that came
// from outside.
func TestPagesInABrowser(t *testing.T) {
	if *browser == "" {
		found, err := exec.LookPath("chromium")
		if err != nil {
			t.Skip("no browser: install chromium, or name one with -browser")
		}
		*browser = found
	}
	tame, bad := htmlReport(), htmlReport()
	fill(reflect.ValueOf(bad).Elem(), evil)
	for name, page := range map[string]string{"tame": loadHTML(t, tame, ""), "evil": loadHTML(t, bad, evil)} {
		dom, said := opened(t, page)
		if said != "" {
			t.Errorf("%s: %s", name, said)
		}
		if drawn, charts := strings.Count(dom, `class="uplot`), strings.Count(dom, `<div class="chart`); drawn != charts || charts < 4 {
			t.Errorf("%s: %d of %d charts are drawn", name, drawn, charts)
		}
		if strings.Contains(dom, "<img") || strings.Count(dom, "<script") != 2 {
			t.Errorf("%s: what came from outside is an element", name)
		}
	}
	dom, said := opened(t, replayHTML(t, htmlSummary(), ReplayPage{}))
	if said != "" || !strings.Contains(dom, "</html>") {
		t.Errorf("replay: %s", said)
	}
	// The browser does say so where the policy forbids something.
	changed := strings.Replace(loadHTML(t, tame, ""), `"use strict";`, `"use strict" ;`, 1)
	if dom, said := opened(t, changed); said == "" || strings.Contains(dom, `class="uplot`) {
		t.Error("a changed script runs")
	}
}
