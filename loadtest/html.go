package loadtest

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"restraint/loadtest/plot"
)

// The pages stand by themselves: nothing is fetched, and the only script, where there is
// one, is what is in the program, allowed by its hash. All that comes from outside goes
// through html/template.
var (
	//go:embed html
	pageFiles embed.FS

	pages = template.Must(template.New("pages").Funcs(template.FuncMap{
		"us": plot.Micros.Format, "num": plot.Plain.Format, "n": func(v any) string { return plot.Plain.Format(figure(v)) },
		"secs": plot.Seconds.Format, "percent": func(part, of any) string { return share(figure(part), figure(of)) },
		"bar": bar, "when": func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
		"sentence": sentence, "inc": func(i int) int { return i + 1 }, "bytes": bytesText,
	}).ParseFS(pageFiles, "html/*.html"))
)

// page is what stands around the content of a page.
type page struct {
	Title   string
	Style   template.CSS
	Script  template.JS // "" where the page has none
	Charts  []*plot.Chart
	Licence string // of Script
}

func newPage(title string, charts []*plot.Chart) page {
	style := asset("page.css")
	p := page{Title: title}
	if len(charts) > 0 {
		p.Charts, p.Licence = charts, plot.Licence
		p.Script = template.JS(plot.Script)
		style = plot.StyleSheet + "\n" + style // the page's own has the last word
	}
	p.Style = template.CSS(style)
	return p
}

func asset(name string) string {
	text, err := pageFiles.ReadFile("html/" + name)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return string(text)
}

// Security is the page's content security policy: its own style and script by their
// hashes, and nothing else.
func (p *page) Security() string {
	policy := "default-src 'none'; base-uri 'none'; form-action 'none'; style-src " + sourceHash(string(p.Style))
	if p.Script != "" {
		policy += "; script-src " + sourceHash(string(p.Script))
	}
	return policy
}

func sourceHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// writePage writes a page, or nothing where that fails.
func writePage(w io.Writer, name string, content any) error {
	var out bytes.Buffer
	if err := pages.ExecuteTemplate(&out, name, content); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	if _, err := w.Write(out.Bytes()); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	return nil
}

// segment is a part of a bar, in percent of the room that it has.
type segment struct {
	At, Width float64
	Colour    int
}

// bar is the parts of a bar beside one another, of which most fills the room. The first
// has the colour given, the next the one after. What is not nothing can be seen.
func bar(colour int, most any, parts ...any) (out []segment) {
	const least = 0.4
	at := 0.0
	for i, part := range parts {
		n := figure(part)
		if n <= 0 || figure(most) <= 0 {
			continue
		}
		wide := max(100*n/figure(most), least)
		out = append(out, segment{min(at, 100-least), wide, colour + i})
		at += wide
	}
	return out
}

// figure is any number of a report.
func figure(v any) float64 {
	switch v := v.(type) {
	case int:
		return float64(v)
	case int64:
		return float64(v)
	case float64:
		return v
	}
	panic(fmt.Sprintf("BUG: %T is no number of a report", v))
}

// share is a percentage; a part that is not nothing is never written as 0, and one that
// is not the whole never as 100.
func share(part, of float64) string {
	if of == 0 {
		return "–"
	}
	switch p := 100 * part / of; {
	case p > 0 && p < 0.01:
		return "< 0.01 %"
	case p > 99.99 && p < 100:
		return "> 99.99 %"
	case p > 0 && p < 1 || p > 99 && p < 100:
		return fmt.Sprintf("%.2f %%", p)
	default:
		return fmt.Sprintf("%.1f %%", p)
	}
}

func bytesText(n int64) string {
	switch v := float64(n); {
	case n < 1<<10:
		return plot.Plain.Format(v) + " B"
	case n < 1<<20:
		return plot.Plain.Format(v/(1<<10)) + " KiB"
	case n < 1<<30:
		return plot.Plain.Format(v/(1<<20)) + " MiB"
	default:
		return plot.Plain.Format(v/(1<<30)) + " GiB"
	}
}

// sentence is text with a capital at its beginning and a stop at its end.
func sentence(text string) string {
	text = strings.TrimSpace(text)
	first, size := utf8.DecodeRuneInString(text)
	if size == 0 {
		return ""
	}
	text = string(unicode.ToUpper(first)) + text[size:]
	if !strings.ContainsRune(".?!", rune(text[len(text)-1])) {
		text += "."
	}
	return text
}
