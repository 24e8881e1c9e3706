package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
)

// requestAttacks are requests that are read otherwise by others, and such as are none.
func requestAttacks() []*attack {
	return []*attack{
		{name: "request smuggling: length and chunks, obs-fold, bare LF, ...", conns: 4, run: smuggle},
		{
			name: "pipelining: 5,000 requests at once on a connection", conns: 4,
			run: func(a *attempt) {
				text := strings.Repeat("GET /v1/decide?user=u&campaign=shoes HTTP/1.1\r\nHost: x\r\nX-Api-Key: "+a.node.keys["bid"]+"\r\n\r\n", 5000)
				a.each(func(int) {
					for a.on() {
						c, err := a.node.reach(a.node.bid)
						if err != nil {
							a.wrong("%v", err)
							return
						}
						go io.WriteString(c, text)
						for range 5000 {
							a.requests.Add(1)
							status, body, err := c.answer()
							if err != nil {
								a.wrong("pipelined: %v", err)
								break
							}
							a.met(status, body)
						}
						c.Close()
					}
				})
			},
			check: func(a *attempt) string { return a.only(200) },
		},
		{
			name: "a request in a body that is not read", conns: 4,
			run: func(a *attempt) {
				hidden := strings.Repeat("\r\n", 4000) + "DELETE /v1/lists/customers HTTP/1.1\r\nHost: x\r\nX-Api-Key: " + a.node.keys["crm"] + "\r\n\r\n"
				heads := []string{"GET /healthz", "GET /nowhere", "POST /v1/status", "GET /v1/why?t=x&campaign=c", "POST /v1/lists/customers/rollback", "DELETE /v1/decide"}
				a.each(func(i int) {
					for k := i; a.on(); k++ {
						said := a.raw(a.node.admin, fmt.Sprintf("%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", heads[k%len(heads)], len(hidden), hidden))
						if n := strings.Count(said, "HTTP/1.1 "); n != 1 {
							a.wrong("%s: %d answers\n%.300s", heads[k%len(heads)], n, said)
						}
					}
				})
			},
		},
		{name: "unknown methods, other protocols, noise", conns: 4, run: noise},
		{name: "paths written around the table of roles", conns: 4, run: detours},
	}
}

// smuggle sends requests whose end others may see elsewhere. Behind each stands another one,
// which must not be served as a request of its own: a proxy in front would take its answer for
// that of somebody else's.
func smuggle(a *attempt) {
	key := "X-Api-Key: " + a.node.keys["crm"] + "\r\n"
	behind := "DELETE /v1/lists/customers HTTP/1.1\r\nHost: x\r\n" + key + "\r\n"
	post := func(headers, body string) string {
		return "POST /v1/lists/customers/add?id=user.id HTTP/1.1\r\nHost: x\r\n" + key + "Content-Type: text/plain\r\n" + headers + "\r\n" + body
	}
	forms := map[string]string{
		"length and chunks":          post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
		"chunks and length":          post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"),
		"chunks in another case":     post("Transfer-encoding: CHUNKED\r\nContent-Length: 5\r\n", "0\r\n\r\n"),
		"chunks, twice":              post("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", "0\r\n\r\n"),
		"chunks after another":       post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
		"chunks with a tab":          post("Transfer-Encoding:\tchunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"),
		"chunks before a colon":      post("Transfer-Encoding : chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"),
		"folded":                     post("Content-Length: 5\r\nTransfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"),
		"folded length":              post("X-A: b\r\n Content-Length: 200\r\nContent-Length: 0\r\n", ""),
		"two lengths":                post("Content-Length: 0\r\nContent-Length: 300\r\n", ""),
		"two lengths, the other way": post("Content-Length: 300\r\nContent-Length: 0\r\n", ""),
		"a list of lengths":          post("Content-Length: 0, 300\r\n", ""),
		"a signed length":            post("Content-Length: +0\r\n", ""),
		"a negative length":          post("Content-Length: -1\r\n", ""),
		"a length in hexadecimal":    post("Content-Length: 0x0\r\n", ""),
		"a length beyond any":        post("Content-Length: 99999999999999999999\r\n", ""),
		"chunk extension":            post("Transfer-Encoding: chunked\r\n", "0;a=\"\r\n\r\n\"\r\n\r\n"),
		"chunk size beyond any":      post("Transfer-Encoding: chunked\r\n", "fffffffffffffffff0\r\n\r\n0\r\n\r\n"),
		"chunk size with a sign":     post("Transfer-Encoding: chunked\r\n", "+0\r\n\r\n"),
		"chunks with bare LF":        post("Transfer-Encoding: chunked\r\n", "0\n\n"),
		"a body for a GET":           "GET /v1/lists HTTP/1.1\r\nHost: x\r\n" + key + "Content-Length: " + fmt.Sprint(len(behind)) + "\r\n\r\n",
		"HTTP/1.0 with chunks":       strings.Replace(post("Transfer-Encoding: chunked\r\n", "0\r\n\r\n"), "HTTP/1.1", "HTTP/1.0", 1),
		"NUL in a header":            post("X-A: \x00\r\nContent-Length: 0\r\n", ""),
		"CR in a header":             post("X-A: a\rContent-Length: 300\r\nContent-Length: 0\r\n", ""),
	}
	names := make([]string, 0, len(forms))
	for name := range forms {
		names = append(names, name)
	}
	a.each(func(i int) {
		for k := i; k < len(names) || a.on(); k += a.row.conns {
			name := names[k%len(names)]
			said := a.raw(a.node.admin, forms[name]+behind)
			if strings.Contains(said, `"deleted"`) || strings.Count(said, "HTTP/1.1 2") > 1 {
				a.wrong("%s: what stood behind was served:\n%.600s", name, said)
			}
			if n := strings.Count(said, "HTTP/1."); n > 1 {
				a.wrong("%s: %d answers\n%.600s", name, n, said)
			}
		}
	})
	if status, said := a.node.ask(a.t, "GET", "/v1/lists/customers", "crm", "", nil); status != 200 || !strings.Contains(said, `"keys":1,`) {
		a.wrong("the list after it: %d %s", status, said)
	}
}

// noise sends what is no request, and methods that nobody has.
func noise(a *attempt) {
	texts := []string{
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET /healthz\r\n", "GET\r\n\r\n", "\r\n\r\n\r\n", "GET /healthz HTTP/9.9\r\n\r\n", "get /healthz http/1.1\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\x00", 512), "\x00\x00\x00\x00", "*1\r\n$4\r\nPING\r\n", "EHLO x\r\n", "CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET http://other.example/v1/status HTTP/1.1\r\nHost: x\r\n\r\n", "GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
	}
	for _, method := range []string{"TRACE", "OPTIONS", "PATCH", "PROPFIND", "DELETE", "PUT", "HEAD", strings.Repeat("A", 5000), "G\x01T"} {
		texts = append(texts, method+" /v1/decide HTTP/1.1\r\nHost: x\r\nX-Secret: echoed\r\n\r\n")
	}
	a.each(func(i int) {
		random := rand.New(rand.NewPCG(1, uint64(i)))
		for k := i; k < len(texts) || a.on(); k++ {
			text := texts[k%len(texts)]
			if k >= len(texts) && k%3 == 0 {
				b := make([]byte, random.IntN(3000))
				for j := range b {
					b[j] = byte(random.Uint32())
				}
				text = string(b)
			}
			for _, addr := range []string{a.node.bid, a.node.admin} {
				said := a.raw(addr, text)
				if strings.HasPrefix(said, "HTTP/1.1 2") && !strings.Contains(text, "/healthz") || strings.Contains(said, "echoed") {
					a.wrong("%.60q: %.200s", text, said)
				}
			}
		}
	})
}

// detours asks for what another role may in every way to write a path.
func detours(a *attempt) {
	type way struct{ method, path string }
	var ways []way
	for _, path := range []string{"/v1/users/lookup", "/v1/lists/customers", "/v1/policy", "/v1/status", "/debug/pprof/heap", "/v1/audit"} {
		parts := strings.SplitAfterN(path, "/", 3) // "/", "v1/", "users/lookup"
		head, tail := parts[0]+parts[1], parts[2]
		for _, p := range []string{
			path, path + "/", path + "//", path + "?", path + "#x", path + ";x", path + "%00", path + "%20", path + ".", path + "/.", path + "/../" + tail[strings.LastIndexByte(tail, '/')+1:],
			head + "/" + tail, head + "./" + tail, head + "x/../" + tail, head + "%2e/" + tail, head + "x%2f..%2f" + tail, head + "/" + "/" + tail, "/" + path, "/." + path, "/x/.." + path, "/metrics/.." + path,
			"/healthz/.." + path, "/healthz%2f.." + path, "/healthz?" + path, "/v1/why/../.." + path, "\\" + path[1:], strings.ReplaceAll(path, "/", "\\"), strings.ReplaceAll(path, "/", "%2f"), strings.ReplaceAll(path, "/", "%252f"),
			"/%76" + path[2:], strings.ToUpper(path), "http://x" + path, "http://x/healthz/.." + path, "//x" + path, "*", path + "\x85",
		} {
			for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"} {
				ways = append(ways, way{method, p})
			}
		}
	}
	a.each(func(i int) {
		for k := i; k < len(ways); k += a.row.conns {
			for _, addr := range []string{a.node.admin, a.node.bid} {
				w := ways[k]
				said := a.raw(addr, fmt.Sprintf("%s %s HTTP/1.1\r\nHost: x\r\nX-Api-Key: %s\r\nX-Original-URL: /healthz\r\nX-HTTP-Method-Override: GET\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}", w.method, w.path, a.node.keys["metrics"]))
				status := 0
				fmt.Sscanf(said, "HTTP/1.1 %d", &status)
				a.met(status, said)
				// What is open to all, or to the role, is no detour.
				open := strings.HasPrefix(w.path, "/healthz?") && status == 200
				if status < 300 && !open && status != 0 {
					a.wrong("%s %q with a key for metrics: %.200s", w.method, w.path, said)
				}
			}
		}
	})
}
