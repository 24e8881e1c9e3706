package edge_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"restraint/edge"
	"restraint/edge/access"
)

// Ways to send a key that are none, and what is told of each.
func TestKeyForms(t *testing.T) {
	k := startKeyed(t, testPolicy, nil)
	old := k.add(t, access.Key{Client: "old", Roles: access.Bid})
	file, err := k.file.Revoke(old.ID, time.Unix(1_790_000_100, 0))
	if err != nil {
		t.Fatal(err)
	}
	k.gate.Replace(file)
	key, header := k.keys["bid"], func(name, value string) http.Header { return http.Header{name: {value}} }
	for i, c := range []struct {
		header http.Header
		query  string
		status int
		says   string
	}{
		{header("Authorization", "Bearer "+key), "", 200, ""},
		{header("Authorization", "bearer   "+key), "", 200, ""},
		{header("Authorization", "BEARER "+key+"  "), "", 200, ""}, // HTTP takes white space around a value away
		{header("X-Api-Key", key), "", 200, ""},
		{http.Header{"Authorization": {"Basic dTpw"}, "X-Api-Key": {key}}, "", 200, ""},
		{http.Header{"Authorization": {"Bearer " + key}, "X-Api-Key": {"other"}}, "", 200, ""},
		{nil, "&key=" + key, 401, "a key in the address is not taken"},
		{nil, "&access_token=" + key, 401, "a key in the address is not taken"},
		{header("Cookie", "key="+key), "", 401, "needs an access key"},
		{header("Authorization", key), "", 401, "is no access key"},
		{header("Authorization", "Bearer"), "", 401, "is no access key"},
		{header("Authorization", "Basic "+key), "", 401, "is no access key"},
		{header("Authorization", "Bearer "+key[:30]+" "+key[30:]), "", 401, "is no access key"},
		{header("Authorization", "Bearer\t"+key), "", 401, "is no access key"},
		{header("Authorization", `Bearer "`+key+`"`), "", 401, "is no access key"},
		{header("X-Api-Key", "Bearer "+key), "", 401, "is no access key"},
		{header("X-Api-Key", strings.Repeat("a", 12<<10)), "", 401, "is no access key"},
		{header("X-Api-Key", strings.Repeat("a", 20<<10)), "", 431, "over 16384 bytes"},
		{header("X-Api-Key", key[:12]+strings.Repeat("a", 52)), "", 401, "no key is like this one"},
		{header("X-Api-Key", k.keys["old"]), "", 401, "key " + old.ID + " was revoked at 2026-09-21T"},
		{header("X-Api-Key", k.keys["old"][:12]+strings.Repeat("a", 52)), "", 401, "no key is like this one"},
	} {
		base := []string{k.url, k.bid}[i%2]
		resp, body := k.exchange(t, base, "GET", "/v1/decide?user=u&campaign=shoes"+c.query, c.header, "")
		if resp.StatusCode != c.status || !strings.Contains(string(body), c.says) {
			t.Errorf("%.80v %.30s: %d, want %d with %q\n%s", c.header, c.query, resp.StatusCode, c.status, c.says, body)
		}
		if strings.Contains(string(body), key[12:]) {
			t.Errorf("%.80v: the answer shows the secret", c.header)
		}
		want := `Bearer realm="restraint"`
		if c.header.Get("Authorization")+c.header.Get("X-Api-Key") != "" {
			want += `, error="invalid_token"`
		}
		if got := resp.Header.Get("WWW-Authenticate"); c.status == 401 && got != want {
			t.Errorf("%.80v: WWW-Authenticate %s", c.header, got)
		}
	}
	k.stop()
	for _, key := range k.keys {
		if strings.Contains(k.log.String(), key[12:]) {
			t.Error("the log has a secret")
		}
	}
}

// Keys are asked for on unix sockets too.
func TestKeysOnSockets(t *testing.T) {
	dir := t.TempDir()
	bid, admin := filepath.Join(dir, "bid.sock"), filepath.Join(dir, "admin.sock")
	k := startKeyed(t, testPolicy, func(o *edge.Options) { o.Listen, o.AdminListen = "unix:"+bid, "unix:"+admin })
	for _, socket := range []string{bid, admin} {
		client := http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", socket) }}}
		for who, want := range map[string]int{"": 401, "bid": 200, "crm": 403} {
			req, err := http.NewRequest("GET", "http://node/v1/decide?user=u&campaign=shoes", nil)
			if err != nil {
				t.Fatal(err)
			}
			if who != "" {
				req.Header = k.bearer(who)
			}
			resp, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("%s by %q: %d, want %d", socket, who, resp.StatusCode, want)
			}
		}
	}
}

// 401, 403 and 429 are as they are described.
func TestKeyRefusalsAsDescribed(t *testing.T) {
	d, k := readOpenAPI(t), startKeyed(t, testPolicy, nil)
	k.add(t, access.Key{Client: "once", Roles: access.Ops, Rate: 1})
	k.gate.Replace(k.file)
	d.call(t, k.node, 401, "GET", "/v1/status", nil, "")
	d.call(t, k.node, 401, "GET", "/v1/status", http.Header{"X-Api-Key": {"x"}}, "")
	d.call(t, k.node, 403, "GET", "/v1/status", k.bearer("bid"), "")
	d.call(t, k.node, 200, "GET", "/v1/decide?user=u&campaign=nobody", k.bearer("bid"), "") // with "skip" for a reason
	once, _ := k.gate.Check([]byte(k.keys["once"]))
	once.Take(time.Now().Add(time.Hour)) // its request of the hour to come
	d.call(t, k.node, 429, "GET", "/v1/status", k.bearer("once"), "")
}
