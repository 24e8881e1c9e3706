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

// kept is a node, its NATS server if it has one of its own, and the folder of both.
type kept struct {
	t     *testing.T
	dir   string
	admin string
	args  []string
	nats  string // address; "": embedded
	caller
}

func newKept(t *testing.T, cluster bool) *kept {
	addrs := freeAddrs(t, 3)
	k := &kept{t: t, dir: t.TempDir(), admin: "http://" + addrs[1], caller: caller{Client: http.Client{Timeout: 10 * time.Second}}}
	k.args = []string{"serve", "--node", "edge-1", "--listen", addrs[0], "--admin-listen", addrs[1], "--data", "data", "--secret-file", "secret"}
	if cluster {
		k.nats = addrs[2]
		k.args = append(k.args, "--nats-urls", "nats://"+k.nats)
	}
	return k
}

// server starts the NATS server; nil where the node has an embedded one.
func (k *kept) server() *running {
	k.t.Helper()
	if k.nats == "" {
		return nil
	}
	config := filepath.Join(k.dir, "nats.conf")
	text := fmt.Sprintf("listen: %s\njetstream {store_dir: %q, max_file_store: 9GiB}\n", k.nats, filepath.Join(k.dir, "nats"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		k.t.Fatal(err)
	}
	return start(k.t, k.dir, nil, "nats", "--config", config)
}

// node starts the node and waits until it is ready.
func (k *kept) node() *running {
	k.t.Helper()
	n := start(k.t, k.dir, nil, k.args...)
	poll(k.t, "the node is ready", func() bool {
		status, _ := k.do("GET", k.admin+"/readyz", "", "")
		return status == http.StatusOK
	})
	return n
}

func (k *kept) ask(method, path, body string) string {
	_, said := k.do(method, k.admin+path, "application/json", body)
	return said
}

func (k *kept) verdict(user string) string {
	return k.ask("POST", "/v1/decide", `{"user":{"id":"`+user+`"},"candidates":[{"campaign":"spring-shoes"}]}`)
}

func (k *kept) shell(command string) {
	k.t.Helper()
	cmd := exec.Command("sh", "-c", command)
	cmd.Dir = k.dir
	if said, err := cmd.CombinedOutput(); err != nil {
		k.t.Fatalf("%s: %v\n%s", command, err, said)
	}
}

// A copy of a node's data folder, taken while it was stopped and restored over nothing,
// has what the page says that it has: with NATS as it was, with NATS empty, and where the
// node has an embedded one.
func TestRestore(t *testing.T) {
	for _, c := range []struct {
		name           string
		cluster, empty bool // NATS of its own, which is empty after the restore
		lost           bool // what was refused after the copy was taken
	}{
		{"embedded", false, false, true},
		{"NATS as it was", true, false, false},
		{"NATS is empty", true, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newKept(t, c.cluster)
			nats := k.server()
			n := k.node()
			k.ask("POST", "/v1/events", `{"type":"impression","user":{"id":"u-shown"},"campaign":"spring-shoes"}`)
			k.ask("POST", "/v1/events", `{"type":"hide","user":{"id":"u-hid"},"campaign":"spring-shoes"}`)
			if said := k.ask("PUT", "/v1/policy", "markets: [{name: all, require: none}]\ncampaigns: {spring-shoes: {advertiser: acme, caps: [{per: campaign, limit: 1, within: 24h}]}}\n"); !strings.Contains(said, `"version":2`) {
				t.Error(said)
			}
			n.stop(t)
			k.shell("tar -czf copy.tar.gz data") // as on the page

			n = k.node()
			k.ask("POST", "/v1/events", `{"type":"hide","user":{"id":"u-since"},"campaign":"spring-shoes"}`)
			n.stop(t)
			if nats != nil {
				nats.stop(t)
			}
			k.shell("rm -rf data && tar -xzf copy.tar.gz")
			if c.empty {
				k.shell("rm -rf nats")
			}
			k.server()
			k.node()
			for user, want := range map[string]string{"u-shown": `"reason":"cap"`, "u-hid": `"reason":"hidden"`} {
				if said := k.verdict(user); !strings.Contains(said, want) || !strings.Contains(said, `"policy":2`) {
					t.Errorf("%s: %s", user, said)
				}
			}
			if said := k.verdict("u-since"); strings.Contains(said, `"show":true`) != c.lost {
				t.Errorf("refused since the copy: %s", said)
			}
		})
	}
}
