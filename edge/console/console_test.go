package console_test

import (
	"regexp"
	"strings"
	"testing"

	"restraint/edge/console"
)

// The page has nothing of the outside, keeps nothing in the browser, makes no markup of
// text, and is whole: neither style nor script ends before it should.
func TestPageByItself(t *testing.T) {
	for _, keys := range []bool{false, true} {
		page := console.Page(keys)
		for _, one := range []string{"<style>", "</style>", `<script type="module">`, "</script>", "</html>"} {
			if strings.Count(page, one) != 1 {
				t.Errorf("%d times %s", strings.Count(page, one), one)
			}
		}
		for _, none := range []string{"/*STYLE*/", "/*SCRIPT*/", "KEYS", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(", "localStorage", "sessionStorage", "indexedDB", "document.cookie", "history.", "location", "<img", "@import", "url(", "transition", "animation", "scroll-behavior"} {
			if strings.Contains(page, none) {
				t.Errorf("it has %q", none)
			}
		}
		for _, address := range regexp.MustCompile("https?://[^\"'`]*").FindAllString(page, -1) {
			if address != "http://www.w3.org/2000/svg" {
				t.Errorf("it names %s", address)
			}
		}
		if want := map[bool]string{false: `data-keys="no"`, true: `data-keys="yes"`}[keys]; !strings.Contains(page, want) {
			t.Errorf("it does not say %s", want)
		}
		// No control has a name, so that no browser could send one.
		if found := regexp.MustCompile(`<(input|select|button|form)[^>]* (name|action|style|on[a-z]+)=`).FindString(page); found != "" {
			t.Error(found)
		}
	}
}
