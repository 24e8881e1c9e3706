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

// shims stand for programs of a machine with systemd, so that the commands of the page run as they are; the test stops and starts the node itself.
var shims = map[string]string{
	"restraint": "#!/bin/sh\nexec PROGRAM \"$@\"\n", "runuser": "#!/bin/sh\nshift 3\nexec \"$@\"\n", "systemctl": "#!/bin/sh\n", "chown": "#!/bin/sh\n",
}

// page runs commands of the page's section, those that have a word, where the node is this one.
func (k *kept) page(word string) (said string) {
	k.t.Helper()
	bin := filepath.Join(k.dir, "bin")
	if err := os.MkdirAll(bin, 0o700); err != nil {
		k.t.Fatal(err)
	}
	for name, script := range shims {
		if err := os.WriteFile(filepath.Join(bin, name), []byte(strings.ReplaceAll(script, "PROGRAM", program)), 0o700); err != nil {
			k.t.Fatal(err)
		}
	}
	var script string
	for block := range strings.SplitSeq(section(k.t, "Backup and restore"), "\n\n") {
		if c := commands(block + "\n"); strings.Contains(c, word) {
			script += c
		}
	}
	if script == "" {
		k.t.Fatalf("the page has no commands with %q", word)
	}
	config := fmt.Sprintf("data: %s\nsecret_file: %s\nnode: edge-1\n", filepath.Join(k.dir, "data"), filepath.Join(k.dir, "secret"))
	if k.nats != "" {
		config += "nats: {urls: [\"nats://" + k.nats + "\"]}\n"
	}
	if err := os.WriteFile(filepath.Join(k.dir, "restraint.yaml"), []byte(config), 0o600); err != nil {
		k.t.Fatal(err)
	}
	for from, to := range map[string]string{
		"edge-1.example:8081 --ca pki/ca.pem": k.admin, "/var/lib/restraint/data": "data", "/etc/restraint/restraint.yaml": "restraint.yaml", "$(date +%F)": "2026-11-01",
	} {
		script = strings.ReplaceAll(script, from, to)
	}
	cmd := exec.Command("sh", "-e", "-c", script)
	cmd.Dir, cmd.Env = k.dir, append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		k.t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}

// The commands of the page make a backup of a node that serves, and restore it over nothing: with NATS as it was, with NATS empty, and where the node has
// an embedded one, it has what the page says that it has.
func TestRestore(t *testing.T) {
	for _, c := range []struct {
		name           string
		cluster, empty bool // NATS of its own, or what there is of it is empty after the restore
		lost           bool // what was refused after the export
	}{
		{"embedded", false, true, true},
		{"embedded, NATS as it was", false, false, false},
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
			if said := k.page("snapshot export"); !strings.Contains(said, "the file is whole") {
				t.Error(said)
			}
			k.ask("POST", "/v1/events", `{"type":"hide","user":{"id":"u-since"},"campaign":"spring-shoes"}`)
			n.stop(t)
			if nats != nil {
				nats.stop(t)
			}
			if c.empty {
				k.shell("rm -rf nats")
			} else if !c.cluster {
				k.shell("mv data/nats kept")
			}
			k.server()
			if said := k.page("snapshot import"); !strings.Contains(said, "Erasures, opt-outs and hides after") {
				t.Error(said)
			}
			if !c.empty && !c.cluster {
				k.shell("mv kept data/nats")
			}
			k.node()
			for user, want := range map[string]string{"u-shown": `"reason":"cap"`, "u-hid": `"reason":"hidden"`} {
				if said := k.verdict(user); !strings.Contains(said, want) || !strings.Contains(said, `"policy":2`) {
					t.Errorf("%s: %s", user, said)
				}
			}
			if said := k.verdict("u-since"); strings.Contains(said, `"show":true`) != c.lost {
				t.Errorf("refused since the export: %s", said)
			}
		})
	}
}
