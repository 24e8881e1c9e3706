package edge

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

// The pages, one style for all of them. Nothing is fetched and no script runs.
var (
	//go:embed why.html
	pagesText string
	//go:embed why.css
	pageStyle string

	pages = template.Must(template.New("pages").Funcs(template.FuncMap{
		"style": func() template.CSS { return template.CSS(pageStyle) },
	}).Parse(pagesText))

	// pagePolicy allows the style by its hash and forms to this node, and nothing
	// else: no script, no picture, no frame around the page, so that nobody can lay it
	// under a button of their own.
	pagePolicy = func() string {
		sum := sha256.Sum256([]byte(pageStyle))
		return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
			"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	}()
)

// whyPage is what the page of /v1/why shows.
type whyPage struct {
	*whyAnswer
	Token   string
	Choices []hideChoice
}

// Sentence is the judgement of now, as the page words it.
func (w *whyPage) Sentence() string {
	if w.Show {
		return "Right now it could be shown to you again: " + w.because
	}
	return "Right now it would not be shown to you again: " + w.because
}

// Chosen is when the advertisement was chosen, for people and for machines.
func (w *whyPage) Chosen() string {
	return time.Unix(int64(w.ChosenAt), 0).In(w.zone).Format("2 January 2006 at 15:04 (MST)")
}

// ChosenISO is Chosen for machines.
func (w *whyPage) ChosenISO() string {
	return time.Unix(int64(w.ChosenAt), 0).UTC().Format(time.RFC3339)
}

// Fewer says that some market allows less than the sentence says.
func (w *whyPage) Fewer() bool { return w.fewer && w.campaign != nil }

// Listed: opted out, but by a list alone.
func (w *whyPage) Listed() bool { return w.OptedOut && w.listed }

// donePage is what a person reads after one of the buttons.
type donePage struct {
	Title    string
	Campaign string // hidden; "" of an opt-out
	Nobody   bool   // the token has no identifier
	Erased   bool   // what was known of the person was erased since
}

// faultPage is a problem for people.
type faultPage struct {
	Detail string
	Later  bool // it is worth trying again
}

// behindToken sets what every answer to a person's link has: no cache, no guessing at what
// the answer is, and no address given on, since the token stands in it.
func behindToken(ctx *fasthttp.RequestCtx) {
	private(ctx)
	h := &ctx.Response.Header
	h.Set("Vary", "Accept")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Robots-Tag", "noindex")
}

// sendPage answers with one of the pages.
func sendPage(ctx *fasthttp.RequestCtx, status int, name string, page any) {
	var out bytes.Buffer
	if err := pages.ExecuteTemplate(&out, name, page); err != nil {
		panic("BUG: page " + name + ": " + err.Error())
	}
	h := &ctx.Response.Header
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Content-Language", "en")
	ctx.SetStatusCode(status)
	ctx.SetContentType("text/html; charset=utf-8")
	ctx.SetBody(out.Bytes())
}

// sendFault answers with a problem as a page that says what to do.
func sendFault(ctx *fasthttp.RequestCtx, p *problem) {
	if p.retryAfter > 0 {
		ctx.Response.Header.Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	sendPage(ctx, p.Status, "fault", &faultPage{Detail: p.Detail, Later: p.Status >= fasthttp.StatusInternalServerError})
}

// quality is how much the caller wants a media type that it names itself, in
// thousandths (RFC 9110, section 12.5.1); 0: it does not name it, or refuses it.
// Wildcards are left out: curl's */* says nothing of what it wants.
func quality(ctx *fasthttp.RequestCtx, mediaType string) (most int) {
	for _, header := range ctx.Request.Header.PeekAll("Accept") {
		for part := range strings.SplitSeq(string(header), ",") {
			name, parameters, _ := strings.Cut(part, ";")
			if !strings.EqualFold(strings.TrimSpace(name), mediaType) {
				continue
			}
			q := 1000
			for parameter := range strings.SplitSeq(parameters, ";") {
				key, value, _ := strings.Cut(strings.TrimSpace(parameter), "=")
				if f, err := strconv.ParseFloat(value, 64); strings.EqualFold(key, "q") {
					if q = 0; err == nil && f >= 0 && f <= 1 {
						q = int(f * 1000)
					}
				}
			}
			most = max(most, q)
		}
	}
	return most
}
