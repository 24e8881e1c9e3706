package console_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// held is what a node says it holds about somebody.
type held struct {
	Held        bool
	Exposures   []struct{ Name string }
	Preferences struct{ Personalisation bool }
}

func (n *node) lookUp(id string) (h held) {
	n.Helper()
	n.call("POST", "/v1/users/lookup", `{"user":{"id":`+quote(id)+`}}`, &h)
	return h
}

// keepsQuiet fails where an identifier got anywhere but into bodies: into an address in any
// spelling, the history, the title, or what a browser stores.
func (t *tab) keepsQuiet(secrets ...string) {
	t.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, secret := range secrets {
		for _, spelt := range []string{
			secret, url.QueryEscape(secret), url.PathEscape(secret), base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)), hex.EncodeToString([]byte(secret)),
		} {
			for _, address := range t.urls {
				if strings.Contains(strings.ToLower(address), strings.ToLower(spelt)) {
					t.Errorf("%s is in an address: %s", secret, address)
				}
			}
		}
	}
	t.mu.Unlock()
	kept := eval[string](t, "[location.href, document.title, document.cookie, JSON.stringify(localStorage), JSON.stringify(sessionStorage), JSON.stringify(history.state), history.length, document.referrer].join(' ')")
	stored := eval[int](t, "(async () => (await indexedDB.databases()).length + (await caches.keys()).length + (await navigator.serviceWorker.getRegistrations()).length)()", awaited)
	t.mu.Lock()
	if want := t.urls[0] + " Restraint console  {} {} null 2 "; kept != want || stored != 0 {
		t.Errorf("the browser keeps %q and %d stores, want %q", kept, stored, want)
	}
}

// sent says whether a text was sent in a body.
func (t *tab) sent(text string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Contains(strings.Join(t.bodies, "\n"), text)
}

// What the privacy officer does is done with the keyboard alone, and what it comes to is
// what the node holds then; no identifier leaves the bodies of requests.
func TestPersonByKeyboard(t *testing.T) {
	t.Parallel()
	n := startNode(t, nil)
	const id = "Ünique/id?42 &x=%41#<b>"
	for i := range 2 {
		n.event(map[string]any{"type": "impression", "id": fmt.Sprint("imp-", i), "user": user(id), "campaign": "shoes"})
	}
	n.event(map[string]any{"type": "purchase", "user": user(id), "advertiser": "acme", "item": "sku"})
	n.event(map[string]any{"type": "hide", "user": user(id), "campaign": evil})
	n.call("PUT", "/v1/lists/customers?id=user.id", id+"\n", nil)
	p := openTab(t, n.console())
	p.has("#who", "no keys")

	p.tabTo("#identifier")
	p.keys(id + kb.Enter)
	p.has("#person-said", "1 lists.")
	if got := p.row("#person-found", "campaign shoes"); got["Times"] != "2" {
		t.Errorf("shown: %q", got)
	}
	if got := p.row("#person-found", evil); got["Hidden"] == "" && got["What"] == "" {
		t.Errorf("hidden: %q", got)
	}
	p.has("#person-found", "customers: suppression, first party, basis contract")

	p.tabTo("#explain-campaigns")
	p.keys("shoes, nobody" + kb.Enter)
	p.has("#person-said", "0 of 2 may be shown")
	p.has("#person-found", "shoes: skip, cap")
	p.has("#person-found", "you have seen this campaign 2 times in the last 24 hours; the limit is 2.")
	p.has("#person-found", "nobody: skip, unknown campaign")

	p.tabTo("#opt-out")
	p.keys(" ")
	p.has("#person-said", "Opted out")
	if n.lookUp(id).Preferences.Personalisation {
		t.Error("the node has not heard of the opt-out")
	}
	p.tabTo("#opt-in")
	p.keys(kb.Enter)
	p.has("#person-said", "Opted in")
	if !n.lookUp(id).Preferences.Personalisation {
		t.Error("the node has not heard of the opt-in")
	}

	p.tabTo("#erase")
	p.keys(kb.Enter)
	p.has("#person-said", "Nothing is erased")
	if len(n.lookUp(id).Exposures) == 0 {
		t.Fatal("it is erased without a word")
	}
	p.await("document.activeElement.matches('#confirm')")
	p.keys("Erase" + kb.Enter)
	p.has("#person-said", "Erased on every node.")
	if got := p.row("#person-found", "edge-<b>1</b>"); got["State"] != "forgotten" {
		t.Errorf("the erasure: %q", got)
	}
	if len(p.text("#receipt")) < 20 {
		t.Errorf("the receipt: %q", p.text("#receipt"))
	}
	if h := n.lookUp(id); len(h.Exposures) != 0 || h.Preferences.Personalisation {
		t.Errorf("after the erasure: %+v", h)
	}
	p.tabTo("#clear")
	p.keys(kb.Enter)
	p.await("document.activeElement.matches('#identifier') && document.activeElement.value === '' && document.querySelector('#person-found').textContent === ''")
	if !p.sent(`"id":`) {
		t.Error("no body is heard of: the test looks for the wrong thing")
	}
	p.keepsQuiet(id, "nique", "42")
}

// Sources have their own places in a request; an erasure leaves no opt-out where none is
// wanted; what cannot be read is said.
func TestPersonBySource(t *testing.T) {
	t.Parallel()
	n := startNode(t, nil)
	p := openTab(t, n.console(), "status of 400")
	p.has("#who", "no keys")
	for _, c := range [][3]string{
		{"user.id", "u-1", `{"user":{"id":"u-1"}}`},
		{"buyeruid", "b-1", `{"user":{"buyeruid":"b-1"}}`},
		{"ifa", "6d92078a-8246-4ba4-ae5b-76104861e7dc", `{"device":{"ifa":"6d92078a-8246-4ba4-ae5b-76104861e7dc"}}`},
		{"uidapi.com", "AbC=", `{"user":{"eids":[{"source":"uidapi.com","uids":[{"id":"AbC="}]}]}}`},
	} {
		p.fill("#source", c[0])
		p.fill("#identifier", c[1])
		if found := p.text("#person-found") + p.text("#person-said"); found != "" {
			t.Errorf("of somebody else: %q", found)
		}
		p.press("#person-form [type=submit]")
		p.has("#person-said", "Nothing is held.")
		if !p.sent(c[2]) {
			t.Errorf("not sent: %s", c[2])
		}
	}
	p.press("#keep")
	p.fill("#confirm", "erase")
	p.press("#erase")
	p.has("#person-found", "No opt-out is left.")
	p.fill("#source", "email_sha256")
	p.fill("#identifier", "no hash")
	p.press("#person-form [type=submit]")
	p.await("document.querySelector('#person-said .bad')?.textContent.length > 10")
	p.fill("#identifier", "")
	p.press("#opt-out")
	p.has("#person-said", "Say who")
}

// An answer that comes when nobody waits for it any more is not shown.
func TestLateAnswer(t *testing.T) {
	t.Parallel()
	n := startNode(t, nil)
	n.event(map[string]any{"type": "impression", "user": user("u-1"), "campaign": "shoes"})
	p := openTab(t, n.console())
	p.has("#who", "no keys")
	// The look-up is held back until the test lets it go.
	eval[bool](p, `(() => {
		const real = window.fetch;
		window.arrived = 0;
		window.fetch = async (path, options) => {
			const response = await real(path, options);
			if (path === "/v1/users/lookup") {
				window.arrived++;
				await new Promise((go) => { window.letGo = go; });
				setTimeout(() => { window.gone = true; }, 50);
			}
			return response;
		};
		return true;
	})()`)
	for _, button := range []string{"#clear", "#opt-in"} {
		p.fill("#identifier", "u-1")
		eval[bool](p, "window.gone = window.arrived = false, true")
		p.press("#person-form [type=submit]")
		p.await("window.arrived")
		p.press(button)
		eval[bool](p, "window.letGo(), true")
		p.await("window.gone")
		if found := p.text("#person-found"); strings.Contains(found, "shoes") {
			t.Errorf("after %s: %s", button, found)
		}
	}
}

// Another page in the same browser cannot have a node without keys do anything.
func TestOtherPage(t *testing.T) {
	t.Parallel()
	n := startNode(t, nil)
	n.event(map[string]any{"type": "impression", "user": user("u-1"), "campaign": "shoes"})
	// A page of another port is another site's; that of another address browsers hold back by themselves.
	p := openTab(t, "http://"+startNode(t, nil).admin+"/readyz", "status of 403", "ERR_BLOCKED", "favicon")
	erase := fmt.Sprintf(`fetch("http://%s/v1/users/erase", { method: "POST", mode: "no-cors", body: '{"user":{"id":"u-1"}}' }).then((r) => r.type, (e) => "refused: " + e)`, n.admin)
	if got := eval[string](p, erase, awaited); got != "opaque" {
		t.Fatalf("the browser did not send it: %q", got)
	}
	if len(n.lookUp("u-1").Exposures) != 1 {
		t.Error("another page had a person erased")
	}
}
