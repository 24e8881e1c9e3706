package loadtest

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"restraint/loadtest/plot"
)

// checkedPage is a page taken apart.
type checkedPage struct {
	text     string   // what is read: without style and script, with characters for entities
	elements []string // names, in order
	charts   []plot.Chart
	faults   []string
}

var (
	inlines = regexp.MustCompile(`(?s)<(style|script)( [^>]*)?>(.*?)</(?:style|script)>`)
	voids   = regexp.MustCompile(`<(meta|col)( [^>]*)?>`)
)

// Elements that a page may have, and attributes that any of them may have. Nothing of
// them fetches anything.
var (
	pageElements = strings.Fields("html head meta title style body main h1 h2 h3 p section details summary div dl dt dd span strong ul li table caption colgroup col thead tbody tr th td figure figcaption pre script svg g path text circle rect")
	pageAttrs    = strings.Fields("lang charset content name http-equiv id class role scope colspan tabindex type aria-label aria-labelledby aria-hidden viewBox x y dx dy cx cy r d width height transform text-anchor")
)

// takeApart checks that a page is well-formed, has only what a page may have, runs and
// styles only what its policy allows by hash, and that this is what the program holds.
func takeApart(page string, scripted bool) (p checkedPage) {
	fault := func(format string, args ...any) { p.faults = append(p.faults, fmt.Sprintf(format, args...)) }
	bare, scripts, styles, err := withoutInlines(page, &p.charts)
	if err != nil {
		fault("charts: %v", err)
	}
	want := "default-src 'none'; base-uri 'none'; form-action 'none'; style-src " + sourceHash(strings.Join(styles, "?"))
	if scripted {
		want += "; script-src " + sourceHash(plot.Script)
		if !slices.Equal(scripts, []string{plot.Script}) || !strings.Contains(page, html.EscapeString(plot.Licence)) {
			fault("%d scripts, or another than the program's, or without its licence", len(scripts))
		}
	} else if len(scripts) > 0 {
		fault("a script: %q", scripts)
	}
	if len(styles) != 1 || regexp.MustCompile(`(?i)url\(|@import|expression|src:`).MatchString(styles[0]) {
		fault("%d styles, or one that fetches", len(styles))
	}
	policies := 0
	var text strings.Builder
	d := xml.NewDecoder(strings.NewReader(voids.ReplaceAllString(bare, "<$1$2/>")))
	d.Entity = xml.HTMLEntity
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			fault("not well-formed: %v", err)
			return p
		}
		switch token := token.(type) {
		case xml.StartElement:
			p.elements = append(p.elements, token.Name.Local)
			if !slices.Contains(pageElements, token.Name.Local) {
				fault("element %s", token.Name.Local)
			}
			for _, a := range token.Attr {
				if !slices.Contains(pageAttrs, a.Name.Local) {
					fault("attribute %s=%q of %s", a.Name.Local, a.Value, token.Name.Local)
				}
				if a.Value == "Content-Security-Policy" {
					policies++
					if got := token.Attr[len(token.Attr)-1].Value; got != want {
						fault("policy %q, want %q", got, want)
					}
				}
			}
		case xml.CharData:
			text.Write(token)
		case xml.Comment:
			fault("a comment: %s", token)
		}
	}
	if policies != 1 {
		fault("%d content security policies", policies)
	}
	p.text = text.String()
	return p
}

// withoutInlines is a page with its styles and scripts emptied, and what was in them.
func withoutInlines(page string, charts *[]plot.Chart) (bare string, scripts, styles []string, err error) {
	bare = inlines.ReplaceAllStringFunc(page, func(whole string) string {
		m := inlines.FindStringSubmatch(whole)
		switch {
		case m[1] == "style":
			styles = append(styles, m[3])
		case m[2] == ` type="application/json" id="charts"`:
			err = json.Unmarshal([]byte(m[3]), charts)
		default:
			scripts = append(scripts, m[3])
		}
		return "<" + m[1] + m[2] + "></" + m[1] + ">"
	})
	return bare, scripts, styles, err
}

// mustBePage is a page without fault, taken apart.
func mustBePage(t *testing.T, page string, scripted bool) checkedPage {
	t.Helper()
	p := takeApart(page, scripted)
	for _, f := range p.faults {
		t.Error(f)
	}
	if len(p.elements) < 40 || strings.Contains(p.text, "ZgotmplZ") {
		t.Errorf("%d elements, or a value that does not fit its place", len(p.elements))
	}
	checkAccess(t, page)
	return p
}

// checkAccess checks what a screen reader needs: captions of tables, names of sections
// and pictures, headings without a gap.
func checkAccess(t *testing.T, page string) {
	t.Helper()
	body := page[strings.Index(page, "<main>"):]
	if tables, captions := strings.Count(body, "<table"), strings.Count(body, "<caption>"); tables != captions {
		t.Errorf("%d tables with %d captions", tables, captions)
	}
	for _, m := range regexp.MustCompile(`<th[ >][^<]*`).FindAllString(body, -1) {
		if !strings.Contains(m, "scope=") {
			t.Errorf("%s has no scope", m)
		}
	}
	for _, m := range regexp.MustCompile(`<svg [^>]*>`).FindAllString(body, -1) {
		if !strings.Contains(m, `aria-hidden="true"`) && !regexp.MustCompile(`role="img" aria-label="[^"]{30,}"`).MatchString(m) {
			t.Errorf("%s has no text", m)
		}
	}
	ids := map[string]int{}
	for _, m := range regexp.MustCompile(` id="([^"]*)"`).FindAllStringSubmatch(body, -1) {
		ids[m[1]]++
	}
	for id, n := range ids {
		if n > 1 {
			t.Errorf("%d elements are %q", n, id)
		}
	}
	for _, m := range regexp.MustCompile(`aria-labelledby="([^"]*)"`).FindAllStringSubmatch(body, -1) {
		if ids[m[1]] != 1 {
			t.Errorf("nothing is %q", m[1])
		}
	}
	if strings.Count(body, "<h1>") != 1 {
		t.Error("not one heading of the page")
	}
}

// The check itself finds what must not be in a page.
func TestPageCheck(t *testing.T) {
	page := loadHTML(t, htmlReport(), "")
	for _, c := range [][2]string{
		{"<h1>", `<img src="http://example.com/x.png"/><h1>`},
		{"<h1>", `<link rel="stylesheet" href="x.css"/><h1>`},
		{"<h1>", `<p onclick="x()">a</p><h1>`},
		{"<h1>", `<p style="color:red">a</p><h1>`},
		{"<h1>", `<script>alert(1)</script><h1>`},
		{"<h1>", `<h1><b>`},
		{"<h1>", `<!-- hidden --><h1>`},
		{"</section>", ``},
		{"default-src &#39;none&#39;", "default-src *"},
		{"body {", "body { background: url(x.png);"},
		{`"use strict";`, `"use strict"; fetch("http://example.com");`},
		{"Copyright (c) 2022 Leon Sorokin", "Copyright"},
	} {
		changed := strings.Replace(page, c[0], c[1], 1)
		if changed == page {
			t.Fatalf("no %s", c[0])
		}
		if len(takeApart(changed, true).faults) == 0 {
			t.Errorf("%s in place of %s is no fault", c[1], c[0])
		}
	}
}

// evil ends whatever it stands in, if it can.
const evil = `</script></title></style></pre></svg>"'><img src=x onerror=alert(1)><script>alert(2)</script><!-- ]]> {{.}} javascript:alert(3) \u003c`

// fill sets every string of v, and makes one element where a list has none.
func fill(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		fill(v.Elem(), text)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i), text)
		}
	case reflect.Slice:
		if v.Len() == 0 {
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		}
		for i := range v.Len() {
			fill(v.Index(i), text)
		}
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]int{text: 1}))
	}
}

// Nothing from outside is markup or script, wherever it stands: with the same text in
// every string the page has the same elements, whatever the text is.
func TestPagesAreNotScripted(t *testing.T) {
	load := func(text string) string {
		r := htmlReport()
		fill(reflect.ValueOf(r).Elem(), text)
		return loadHTML(t, r, text)
	}
	replay := func(text string) string {
		s := htmlSummary()
		fill(reflect.ValueOf(s).Elem(), text)
		var out bytes.Buffer
		if err := s.WriteHTML(&out, ReplayPage{PolicyName: text, Policy: text, Addr: text, Command: text, Version: text}); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	for name, write := range map[string]func(string) string{"load": load, "replay": replay} {
		tame, bad := mustBePage(t, write("tame"), name == "load"), mustBePage(t, write(evil), name == "load")
		if !slices.Equal(tame.elements, bad.elements) {
			t.Errorf("%s: %d elements, with another text %d", name, len(tame.elements), len(bad.elements))
		}
		if n := strings.Count(bad.text, evil); n < 12 || strings.Count(tame.text, "tame") < 12 {
			t.Errorf("%s: the text stands %d times", name, n)
		}
		for _, c := range bad.charts {
			if c.ID == "percentiles" && (len(c.Marks) == 0 || c.Marks[0].Label != evil) {
				t.Errorf("%s: marks %+v", name, c.Marks)
			}
		}
	}
}

// failing refuses to be written to.
type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestPagesReportFailedWrites(t *testing.T) {
	if err := htmlReport().WriteHTML(failing{}, ""); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("load: %v", err)
	}
	if err := htmlSummary().WriteHTML(failing{}, ReplayPage{}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("replay: %v", err)
	}
}

func TestPageWords(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{share(0, 0), "–"},
		{share(0, 5), "0.0 %"},
		{share(1, 1e9), "< 0.01 %"},
		{share(1, 1000), "0.10 %"},
		{share(1, 3), "33.3 %"},
		{share(999, 1000), "99.90 %"},
		{share(1e9-1, 1e9), "> 99.99 %"},
		{share(5, 5), "100.0 %"},
		{bytesText(0), "0 B"},
		{bytesText(1023), "1,023 B"},
		{bytesText(1536), "1.5 KiB"},
		{bytesText(5 << 20), "5 MiB"},
		{bytesText(3 << 30), "3 GiB"},
		{sentence("élan vital"), "Élan vital."},
		{sentence("what if? "), "What if?"},
		{sentence(""), ""},
		{sentence("Done."), "Done."},
		{fmt.Sprint(bar(3, 10, 5, int64(0), 2.5)), "[{0 50 3} {50 25 5}]"},
		{fmt.Sprint(bar(1, 1e6, 1)), "[{0 0.4 1}]"},
		{fmt.Sprint(bar(1, 0, 1)), "[]"},
		{periodText(60), "one minute"},
		{periodText(900), "15 minutes"},
		{periodText(86400), "one day"},
		{periodText(28 * 86400), "4 weeks"},
		{periodText(7), "7 seconds"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}
