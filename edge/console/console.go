package console

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"strings"
)

var (
	//go:embed page.html
	page string
	//go:embed page.css
	style string
	//go:embed dom.js
	domJS string
	//go:embed chart.js
	chartJS string
	//go:embed ask.js
	askJS string
	//go:embed traffic.js
	trafficJS string
	//go:embed parts.js
	partsJS string
	//go:embed person.js
	personJS string
	//go:embed page.js
	pageJS string
)

// script is one module of all files: each uses what those before it have.
var script = domJS + chartJS + askJS + trafficJS + partsJS + personJS + pageJS

// whole is the page without and with keys.
var whole = func() (pages [2]string) {
	for i, keys := range []string{"no", "yes"} {
		pages[i] = strings.NewReplacer("/*STYLE*/", style, "/*SCRIPT*/", script, `data-keys="KEYS"`, `data-keys="`+keys+`"`).Replace(page)
	}
	return pages
}()

// Page is the page of a node that has keys, or has none, as HTML in UTF-8. It is to be
// served with Policy.
func Page(keys bool) string {
	if keys {
		return whole[1]
	}
	return whole[0]
}

// Policy is the Content-Security-Policy of the page (W3C, CSP level 3): its own style and
// script by their hashes, requests to the node that served it, and nothing else. No text can
// become markup or script (Trusted Types, of which it makes none), no form is sent by the
// browser itself, and no other page may frame it. The one picture is the icon, which stands
// in the page.
var Policy = "default-src 'none'; script-src " + hash(script) + "; style-src " + hash(style) +
	"; connect-src 'self'; img-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'" +
	"; require-trusted-types-for 'script'; trusted-types 'none'"

// hash is how a policy names an inline script or style.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
