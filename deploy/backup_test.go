package deploy

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A copy of a node's data folder, taken while it was stopped and restored over nothing,
// has what the page says that it has: with NATS as it was, with NATS empty, and where the
// node has an embedded one.
func TestRestore(t *testing.T) {
	for _, c := range []struct {
		name           string
		cluster, empty bool // NATS of its own, which is empty after the restore
		since          string
	}{
		{"embedded", false, false, "show"},
		{"NATS as it was", true, false, "hidden"}, // what was refused after the copy was taken
		{"NATS is empty", true, true, "show"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			addrs := freeAddrs(t, 3)
			args := []string{"serve", "--node", "edge-1", "--listen", addrs[0], "--admin-listen", addrs[1], "--data", "data", "--secret-file", "secret"}
			var nats *running
			store := filepath.Join(dir, "nats")
			server := func() {
				config := filepath.Join(dir, "nats.conf")
				text := fmt.Sprintf("listen: %s\njetstream {store_dir: %q, max_file_store: 9GiB}\n", addrs[2], store)
				if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				nats = start(t, dir, nil, "nats", "--config", config)
			}
			if c.cluster {
				server()
				args = append(args, "--nats-urls", "nats://"+addrs[2])
			}
			who := &caller{Client: http.Client{Timeout: 10 * time.Second}}
			ask := func(method, path, body string) string {
				_, said := who.do(method, "http://"+addrs[1]+path, "application/json", body)
				return said
			}
			ready := func() *running {
				n := start(t, dir, nil, args...)
				poll(t, "the node is ready", func() bool {
					return strings.Contains(ask("GET", "/readyz", ""), `"ready":true,"conditions"`) || strings.Contains(ask("GET", "/v1/status", ""), `"ready":true`)
				})
				return n
			}
			shell := func(command string) {
				cmd := exec.Command("sh", "-c", command)
				cmd.Dir = dir
				if said, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%s: %v\n%s", command, err, said)
				}
			}
			verdict := func(user string) string {
				return ask("POST", "/v1/decide", `{"user":{"id":"`+user+`"},"candidates":[{"campaign":"spring-shoes"}]}`)
			}

			n := ready()
			ask("POST", "/v1/events", `{"type":"impression","user":{"id":"u-shown"},"campaign":"spring-shoes"}`)
			ask("POST", "/v1/events", `{"type":"hide","user":{"id":"u-hid"},"campaign":"spring-shoes"}`)
			if said := ask("PUT", "/v1/policy", "markets: [{name: all, require: none}]\ncampaigns: {spring-shoes: {advertiser: acme, caps: [{per: campaign, limit: 1, within: 24h}]}}\n"); !strings.Contains(said, `"version":2`) {
				t.Error(said)
			}
			n.stop(t)
			shell("tar -czf copy.tar.gz data") // as on the page

			n = ready()
			ask("POST", "/v1/events", `{"type":"hide","user":{"id":"u-since"},"campaign":"spring-shoes"}`)
			n.stop(t)
			if c.cluster {
				nats.stop(t)
			}
			shell("rm -rf data && tar -xzf copy.tar.gz")
			if c.empty {
				shell("rm -rf nats")
			}
			if c.cluster {
				server()
			}
			ready()
			for user, want := range map[string]string{"u-shown": `"reason":"cap"`, "u-hid": `"reason":"hidden"`} {
				if said := verdict(user); !strings.Contains(said, want) || !strings.Contains(said, `"policy":2`) {
					t.Errorf("%s: %s", user, said)
				}
			}
			if said := verdict("u-since"); strings.Contains(said, `"show":true`) != (c.since == "show") {
				t.Errorf("refused since the copy: %s", said)
			}
		})
	}
}
