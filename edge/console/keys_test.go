package console_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"restraint/edge"
	"restraint/edge/access"
)

// startKeyed starts a node with keys.
func startKeyed(t *testing.T) *node {
	t.Helper()
	n := &node{T: t, dir: t.TempDir(), admin: "127.0.0.1:0"}
	n.start(func(o *edge.Options) { n.withKeys(o) })
	return n
}

// give types a key in.
func (t *tab) give(key string) {
	t.Helper()
	t.await("!document.querySelector('#key').hidden")
	t.fill("#key-text", key)
	t.keys(kb.Enter)
}

// Each role sees the parts that it may, and reads at the others whose they are; nothing is
// asked for that would be refused. A key that is forgotten takes along what it brought.
func TestEachRole(t *testing.T) {
	t.Parallel()
	n := startKeyed(t)
	p := openTab(t, n.console())
	p.has("#state", "Ready") // which needs no key
	p.has("#person .need", "Needs a key with the role privacy.")
	for _, role := range []string{"bid", "crm", "privacy", "ops", "metrics"} {
		p.give(n.keys[role])
		p.has("#who", role+" (key ")
		p.await("!document.querySelector('#forget').hidden && document.querySelector('#key').hidden")
		hidden := eval[[]string](p, "[...document.querySelectorAll('[data-part]')].filter((e) => e.hidden !== !e.dataset.roles.split(' ').concat(e.dataset.roles ? [] : ["+quote(role)+"]).includes("+quote(role)+")).map((e) => e.dataset.part)")
		if len(hidden) > 0 {
			t.Errorf("%s: the wrong parts are shown: %q", role, hidden)
		}
		said := eval[[]string](p, "[...document.querySelectorAll('.need')].filter((e) => !e.hidden).map((e) => e.textContent)")
		for _, need := range said {
			if !strings.HasPrefix(need, "Needs the role ") || !strings.HasSuffix(need, "; your key has "+role+".") {
				t.Errorf("%s reads %q", role, need)
			}
		}
		switch role {
		case "crm":
			p.row("#lists", "customers")
		case "privacy":
			p.has("#campaigns", "Nothing was decided")
			p.fill("#identifier", "u-1")
			p.keys(kb.Enter)
			p.has("#person-said", "Nothing is held.")
		case "ops":
			p.has("#pilot", "No policy is being tried out.")
			p.row("#nodes", "edge-<b>1</b>")
		case "metrics":
			p.has("#rates", "Decisions a second")
		}
		p.press("#forget")
		p.has("#notice", "forgotten")
		if left := eval[string](p, "['#lists [data-part]', '#nodes [data-part]', '#pilot [data-part]', '#rates', '#campaign-rows', '#person-found', '#person-said', '#who', '#name'].map((s) => document.querySelector(s).textContent).join('') + document.querySelector('#identifier').value + document.querySelector('#key-text').value"); left != "" {
			t.Errorf("after %s is forgotten there is left %q", role, left)
		}
	}
	var keys []string
	for _, key := range n.keys {
		keys = append(keys, key)
	}
	p.keepsQuiet(keys...)
}

// A key lives as long as the page; a wrong one and one that is revoked while the page is
// open are named as such.
func TestKeyComesAndGoes(t *testing.T) {
	t.Parallel()
	n := startKeyed(t)
	p := openTab(t, n.console(), "status of 401")
	p.await("document.activeElement.matches('body')")
	p.give("rk_wrong")
	p.has("#key-fault", "no access key")
	p.await("document.activeElement.matches('#key-text')")
	p.give(n.keys["ops"])
	p.has("#pilot", "No policy")
	if html := eval[string](p, "document.documentElement.outerHTML"); strings.Contains(html, n.keys["ops"]) {
		t.Error("the key stands in the page")
	}
	p.do(chromedp.Reload())
	p.await("!document.querySelector('#key').hidden && document.querySelector('#key-text').value === ''")
	p.give(n.keys["ops"])
	p.has("#pilot", "No policy")
	n.gate.Replace(access.New())
	p.soon()
	p.has("#key-fault", "no key is like this one")
	p.await("document.querySelector('#pilot [data-part]').textContent === ''")
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.said) > 4 { // each time that the node refused one
		t.Errorf("the page keeps asking with a key that is refused: %q", p.said)
	}
}

// A key that is over its rate is shown what it may ask for in its time, and told so.
func TestKeyOverRate(t *testing.T) {
	t.Parallel()
	n := startKeyed(t)
	p := openTab(t, n.console(), "status of 429")
	p.give(n.keys["slow"])
	p.has("#notice", "over its rate")
	p.has("#pilot", "No policy is being tried out.") // which comes last
	p.row("#lists", "customers")
}

// A node that is started anew with keys, or without, is asked as it wants to be.
func TestKeysAppear(t *testing.T) {
	t.Parallel()
	n := startNode(t, nil)
	p := openTab(t, n.console(), "net::ERR_", "status of 401", "status of 503")
	p.has("#pilot", "No policy")
	n.stop()
	p.soon()
	p.has("#state", "No answer")
	n.start(func(o *edge.Options) { n.withKeys(o) })
	p.soon()
	p.has("#key-fault", "needs an access key")
	if left := p.text("#lists table"); left != "" {
		t.Errorf("what the node showed to everybody stays: %s", left)
	}
	p.give(n.keys["ops"])
	p.has("#pilot", "No policy")
	n.stop()
	p.soon()
	p.has("#state", "No answer")
	n.start(nil)
	p.soon()
	p.has("#state", "Ready")
	p.has("#pilot", "No policy")
}

// fill puts a text in the place of what a field has, as typing does.
func (t *tab) fill(selector, text string) {
	t.Helper()
	eval[bool](t, fmt.Sprintf("((f) => { f.focus(); f.select(); return true; })(document.querySelector(%s))", quote(selector)))
	t.keys(kb.Backspace + text)
	if got := eval[string](t, fmt.Sprintf("document.querySelector(%s).value", quote(selector))); got != text {
		t.Fatalf("%s has %q, want %q", selector, got, text)
	}
}

// press presses a button or ticks a box. It goes by the focus, not by a place on the screen,
// which moves while the page fills.
func (t *tab) press(selector string) {
	t.Helper()
	eval[bool](t, fmt.Sprintf("document.querySelector(%[1]s).focus(), document.activeElement === document.querySelector(%[1]s)", quote(selector)))
	t.keys(" ")
}
