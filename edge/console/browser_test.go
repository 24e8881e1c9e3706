package console_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

var browser = flag.String("browser", "", "Chromium or Chrome, such as /usr/bin/chromium, to open the page with; not given: chromium, where it is on the PATH")

// patience is how long a page may take for what it does by itself. It is never waited for
// to the end where all is well.
const patience = time.Minute

// errNoBrowser says that there is none to test with.
var errNoBrowser = errors.New("no browser: install chromium, or name one with -browser")

// chromium starts one browser for all tests of this package.
var chromium = sync.OnceValues(func() (context.Context, error) {
	if *browser == "" {
		found, err := exec.LookPath("chromium")
		if err != nil {
			return nil, errNoBrowser
		}
		*browser = found
	}
	flags := []chromedp.ExecAllocatorOption{chromedp.ExecPath(*browser), chromedp.Headless, chromedp.NoFirstRun, chromedp.NoSandbox}
	for _, name := range []string{"disable-gpu", "disable-quic", "disable-background-networking", "disable-component-update", "disable-sync", "disable-dev-shm-usage"} {
		flags = append(flags, chromedp.Flag(name, true))
	}
	// A directory of its own under the temporary one is made for it, and removed.
	allocator, stop := chromedp.NewExecAllocator(context.Background(), flags...)
	ctx, _ := chromedp.NewContext(allocator)
	stopBrowser = func() {
		_ = chromedp.Cancel(ctx)
		stop()
	}
	return ctx, chromedp.Do(ctx)
})

var stopBrowser = func() {}

func TestMain(m *testing.M) {
	code := m.Run()
	stopBrowser()
	os.Exit(code)
}

// tab is a page in a browser context of its own, with all that it asked for and said.
type tab struct {
	*testing.T
	ctx context.Context

	mu     sync.Mutex
	urls   []string // of all requests, without their bodies
	bodies []string
	said   []string // errors and warnings of the browser's console, violations of the policy among them
}

// openTab opens a page and fails the test, at its end, if the browser had anything to
// complain of that none of the texts in expected is in.
func openTab(t *testing.T, url string, expected ...string) *tab {
	t.Helper()
	parent, err := chromium()
	switch {
	case errors.Is(err, errNoBrowser):
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
	ctx, cancel := chromedp.NewContext(parent, chromedp.WithNewBrowserContext())
	tab := &tab{T: t, ctx: ctx}
	t.Cleanup(cancel)
	tab.do(chromedp.EmulateViewport(1280, 900))
	if err := chromedp.Listen(ctx, tab.hear); err != nil {
		t.Fatal(err)
	}
	tab.do(chromedp.Navigate(url))
	t.Cleanup(func() {
		tab.mu.Lock()
		defer tab.mu.Unlock()
		for _, said := range tab.said {
			if !slices.ContainsFunc(expected, func(e string) bool { return strings.Contains(said, e) }) {
				t.Errorf("the browser says: %s", said)
			}
		}
	})
	return tab
}

// hear notes what the browser tells.
func (t *tab) hear(event any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		t.urls = append(t.urls, e.Request.URL)
		for _, entry := range e.Request.PostDataEntries {
			t.bodies = append(t.bodies, string(entry.Bytes))
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type != runtime.ConsoleAPICalledTypeLog && e.Type != runtime.ConsoleAPICalledTypeInfo {
			text := string(e.Type)
			for _, a := range e.Args {
				text += " " + string(a.Value) + a.Description
			}
			t.said = append(t.said, text)
		}
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if x := e.ExceptionDetails.Exception; x != nil {
			text += " " + x.Description
		}
		t.said = append(t.said, text)
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			t.said = append(t.said, e.Entry.Text+" "+e.Entry.URL)
		}
	}
}

// do runs steps that must succeed.
func (t *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(t.ctx, steps...); err != nil {
		t.Fatal(err)
	}
}

// awaited is for expressions whose value comes later.
var awaited = chromedp.EvaluateOption(chromedp.EvalAwaitPromise)

// eval is the value of an expression of JavaScript in the page.
func eval[T any](t *tab, expression string, options ...chromedp.EvaluateOption) T {
	t.Helper()
	v, err := chromedp.Run(t.ctx, chromedp.Evaluate[T](expression, options...))
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// await waits until an expression is true.
func (t *tab) await(expression string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if eval[bool](t, "!!("+expression+")") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("it is not so: %s\n%s", expression, eval[string](t, "document.body.innerText"))
		}
	}
}

// has waits until an element has a text in it.
func (t *tab) has(selector, text string) {
	t.Helper()
	t.await(fmt.Sprintf("document.querySelector(%s)?.textContent.includes(%s)", quote(selector), quote(text)))
}

// soon has the page ask the node now, as when somebody looks at it again, so that a test
// need not wait for its next turn.
func (t *tab) soon() {
	t.Helper()
	eval[bool](t, "document.dispatchEvent(new Event('visibilitychange'))")
}

// text is what an element says.
func (t *tab) text(selector string) string {
	t.Helper()
	return eval[string](t, fmt.Sprintf("document.querySelector(%s)?.innerText ?? ''", quote(selector)))
}

// row waits for the row of a table that a cell heads, and gives its other cells by the
// heads of their columns.
func (t *tab) row(table, head string) map[string]string {
	t.Helper()
	find := fmt.Sprintf("[...document.querySelectorAll(%s)].find((r) => r.querySelector('th')?.firstChild.textContent === %s)", quote(table+" tbody tr"), quote(head))
	t.await(find)
	return eval[map[string]string](t, "Object.fromEntries([..."+find+".querySelectorAll('td')].map((c) => [c.dataset.of, c.innerText]))")
}

// keys presses keys, one after the other, whatever has the focus.
func (t *tab) keys(keys string) {
	t.Helper()
	t.do(chromedp.KeyEvent(keys))
}

// tabTo presses Tab until an element has the focus, and fails where it never gets it.
func (t *tab) tabTo(selector string) {
	t.Helper()
	for range 80 {
		if eval[bool](t, fmt.Sprintf("document.activeElement?.matches(%s)", quote(selector))) {
			return
		}
		t.keys(kb.Tab)
	}
	t.Fatalf("Tab does not get to %s", selector)
}

// quote is a text as JavaScript writes it.
func quote(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(quoted)
}
