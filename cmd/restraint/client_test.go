package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

func TestProblemsAreReadable(t *testing.T) {
	var many strings.Builder
	for i := range 150 {
		fmt.Fprintf(&many, `,{"field":"f%d","detail":"d"}`, i)
	}
	for _, c := range []struct {
		name, kind, body string
		status           int
		wants            []string
	}{
		{
			"whole", problemJSON, `{"type":"about:blank","title":"Bad Request","status":400,"detail":"2 faults","errors":[{"field":"campaigns.a.caps[0]","detail":"limit 0: write 1 to 255","line":12},{"field":"x","detail":"no such key"}]}`, 400,
			[]string{"restraint lists: the node answers 400 Bad Request: 2 faults\n", "  line 12: campaigns.a.caps[0]: limit 0: write 1 to 255\n", "  x: no such key"},
		},
		{"mend", problemJSON + "; charset=utf-8", `{"title":"Not Found","detail":"not declared","mend":"lists:\n  a: {id: [ifa]}\n"}`, 404, []string{"would mend it:\nlists:\n  a: {id: [ifa]}"}},
		{"many", problemJSON, `{"errors":[{"field":"first","detail":"d"}` + many.String() + `]}`, 400, []string{"first: d", "and 51 more"}},
		{"no key", problemJSON, `{"title":"Unauthorized"}`, 401, []string{"RESTRAINT_KEY"}},
		{"role", problemJSON, `{"title":"Forbidden"}`, 403, []string{"lacks the role"}},
		{"no problem", "text/html", `<html>`, 502, []string{"502 Bad Gateway", "is this the admin listener"}},
		{"broken problem", problemJSON, `{"title":`, 500, []string{"500 Internal Server Error"}},
		{"redirect", "text/html", ``, 302, []string{"302 Found"}},
		{"not JSON", "application/json", `{"lists":`, 200, []string{"read the node's answer"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr, _ := fakeNode(t, c.status, c.kind, c.body)
			r := inProcess(t, nil, "", "lists", "--addr", addr)
			r.must(t, 1, c.wants...)
			if r.stdout != "" {
				t.Errorf("stdout: %s", r.stdout)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", problemJSON)
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(503)
		_, _ = io.WriteString(w, `{"title":"Service Unavailable"}`)
	}))
	defer server.Close()
	inProcess(t, nil, "", "lists", "--addr", server.URL).must(t, 1, "try again after 7 s")
}

func TestAddressesOfNodes(t *testing.T) {
	const answer = `{"lists":[]}`
	addr, _ := fakeNode(t, 200, "application/json", answer)
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, answer)
	})}}
	server.Start()
	defer server.Close()
	for _, good := range []string{addr, "http://" + addr, "http://" + addr + "/", "unix:" + socket} {
		inProcess(t, nil, "", "lists", "--addr", good).must(t, 0, "no lists")
	}
	for _, bad := range []string{"", "host", "host:", "ftp://h:1", "http://", "http://h:1/v1", "http://u:p@h:1", "http://h:1?x", "h/x:1", "unix:relative"} {
		inProcess(t, nil, "", "lists", "--addr", bad).must(t, 2, fmt.Sprintf("%q", bad))
	}
	inProcess(t, nil, "", "lists", "--addr", "unix:"+socket+".not").must(t, 1, "no node listens on")
}

func TestKeyIsSent(t *testing.T) {
	addr, last := fakeNode(t, 200, "application/json", `{"lists":[]}`)
	for _, c := range []struct {
		env  map[string]string
		args []string
		want string
	}{
		{nil, nil, ""},
		{map[string]string{"RESTRAINT_KEY": "from-env"}, nil, "Bearer from-env"},
		{map[string]string{"RESTRAINT_KEY": "from-env"}, []string{"--key", "from-flag"}, "Bearer from-flag"},
	} {
		inProcess(t, c.env, "", append([]string{"lists", "--addr", addr}, c.args...)...).must(t, 0)
		if got := last.header.Get("Authorization"); got != c.want {
			t.Errorf("Authorization %q, want %q", got, c.want)
		}
	}
}
