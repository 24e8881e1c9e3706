package main

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func noEnv(string) (string, bool) { return "", false }

// samples has a right value for each key, other than its default.
var samples = map[string]string{
	"node": "edge-7", "listen": "127.0.0.1:9080", "admin.listen": "unix:/run/r.sock", "data": "/var/lib/r",
	"policy": "p.yaml", "secret_file": "/etc/r/secret", "encrypt.key_file": "/etc/r/disk.key", "nats.urls": "nats://a:4222,tls://b:4222",
	"nats.credentials_file": "c", "nats.tls.ca": "d", "nats.tls.cert": "e", "nats.tls.key": "f",
	"nats.replicas": "3", "nats.sync_interval": "20s", "nats.max_age": "24h", "caps.memory": "3GiB", "lists.max_rejected": "0.02", "lists.max_shrink": "0.25",
	"snapshot.every": "5s", "ready.max_stale": "2h", "ready.accept_gap": "RESTRAINT_EVENTS/1-9/1795306468", "drain.wait": "5s", "limits.upload": "1GiB", "limits.upload_time": "1h", "limits.connections": "5", "limits.wait": "20ms",
	"tls.cert": "g", "tls.key": "h", "tls.client_ca": "i", "keys_file": "j", "log.level": "debug",
}

// asYAML writes key: value for dotted keys, sections merged.
func asYAML(values map[string]string) string {
	var b strings.Builder
	c := defaultConfig()
	var open []string
	for _, k := range c.keys() {
		v, ok := values[k.name]
		if !ok {
			continue
		}
		path := strings.Split(k.name, ".")
		for i, s := range path[:len(path)-1] {
			if i >= len(open) || open[i] != s {
				open = nil
				fmt.Fprintf(&b, "%s%s:\n", strings.Repeat("  ", i), s)
			}
		}
		open = path[:len(path)-1]
		fmt.Fprintf(&b, "%s%s: %s\n", strings.Repeat("  ", len(open)), path[len(path)-1], v)
	}
	return b.String()
}

// Every key, by every way, and each way over those below it.
func TestConfigPrecedence(t *testing.T) {
	file := writeFile(t, "r.yaml", asYAML(samples))
	c := defaultConfig()
	for _, k := range c.keys() {
		sample, ok := samples[k.name]
		if !ok {
			t.Fatalf("no sample for %s", k.name)
		}
		// Other values for the stronger sources, of the same kind.
		other := func(i int) string {
			switch k.value.(type) {
			case *text, *word:
				return fmt.Sprintf("%s-%d", sample, i)
			case *address:
				return fmt.Sprintf("127.0.0.1:%d", 7000+i)
			case *urls:
				return fmt.Sprintf("nats://h%d:4222", i)
			case *sized:
				return fmt.Sprintf("%dMiB", 100+i)
			case *span:
				return fmt.Sprintf("%dm", 2+i) // right with each other's samples
			case *count:
				return fmt.Sprint(3 + i)
			case *share:
				return fmt.Sprintf("0.%d", 3+i)
			case *choice:
				return []string{"", "warn", "error"}[i]
			}
			t.Fatalf("%s: a kind of value without a test: %T", k.name, k.value)
			return ""
		}
		env := func(name string) (string, bool) { return other(1), name == k.env() }
		flags := map[string]string{k.name: other(2)}
		for _, way := range []struct {
			name, want, from string
			load             func() (Config, error)
		}{
			{"file", sample, "file, " + file, func() (Config, error) { return loadConfig(file, nil, false, noEnv) }},
			{"env over file", other(1), "environment, " + k.env(), func() (Config, error) { return loadConfig(file, nil, false, env) }},
			{"flag over env", other(2), "flag, --" + k.flag(), func() (Config, error) { return loadConfig(file, flags, false, env) }},
		} {
			got, err := way.load()
			if err != nil {
				t.Errorf("%s by %s: %v", k.name, way.name, err)
				continue
			}
			i := slices.IndexFunc(got.keys(), func(o configKey) bool { return o.name == k.name })
			if v := got.keys()[i].value.String(); v != way.want {
				t.Errorf("%s by %s = %q, want %q", k.name, way.name, v, way.want)
			}
			if from := got.from(k.name); !strings.HasPrefix(from, way.from) {
				t.Errorf("%s by %s comes from %q", k.name, way.name, from)
			}
		}
	}
	if len(samples) != len(c.keys()) {
		t.Errorf("%d samples, %d keys", len(samples), len(c.keys()))
	}
}

func TestConfigDefaults(t *testing.T) {
	c, err := loadConfig("", nil, false, noEnv)
	if err != nil {
		t.Fatal(err)
	}
	host, _ := os.Hostname()
	if c.Node != host || c.Listen != "127.0.0.1:8080" || c.Admin.Listen != "127.0.0.1:8081" || c.Data != "./data" ||
		c.Policy != "./policy.yaml" || c.SecretFile != "./data/secret" || len(c.NATS.URLs) != 0 || c.NATS.Replicas != 1 || c.NATS.SyncInterval != 10*time.Second ||
		c.Caps.Memory != 2<<30 || c.NATS.MaxAge != 72*time.Hour || c.Lists.MaxRejected != 0.01 || c.Lists.MaxShrink != 0.5 || c.Snapshot.Every != 30*time.Second ||
		c.Ready.MaxStale != time.Hour || c.Limits.Upload != 20<<30 || c.Limits.Connections != 10000 || c.KeysFile != "" || c.Log.Level != "info" {
		t.Errorf("defaults: %+v", c)
	}
	if c.Given("policy") {
		t.Error("a default counts as given")
	}
	// The secret stays with the data unless somebody says otherwise.
	c, err = loadConfig("", map[string]string{"data": "/srv/r"}, false, noEnv)
	if err != nil || c.SecretFile != "/srv/r/secret" || !c.Given("data") {
		t.Errorf("secret %q, %v", c.SecretFile, err)
	}
}

// What is printed can be read again and is the same.
func TestPrintConfigRoundTrip(t *testing.T) {
	for _, values := range []map[string]string{nil, samples} {
		c, err := loadConfig("", values, false, noEnv)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if err := printConfig(&b, &c); err != nil {
			t.Fatal(err)
		}
		again, err := loadConfig(writeFile(t, "r.yaml", b.String()), nil, false, noEnv)
		if err != nil {
			t.Fatalf("%v\n%s", err, b.String())
		}
		c.origins, again.origins = nil, nil
		if c.NATS.URLs == nil {
			c.NATS.URLs = []string{} // written as []
		}
		if !reflect.DeepEqual(c, again) {
			t.Errorf("read again:\n%+v\nwas\n%+v\n%s", again, c, b.String())
		}
	}
}

func TestConfigHidesPasswords(t *testing.T) {
	r := inProcess(t, map[string]string{"RESTRAINT_NATS_URLS": "nats://user:hunter2@h:4222"}, "", "serve", "--print-config")
	r.must(t, 0, "nats://***@h:4222", "# environment, RESTRAINT_NATS_URLS")
	for _, bad := range []string{"http://user:hunter2@h", "user:hunter2@h:4222", "nats://user:hun/ter2@h:4222", "nats://user:hunter2@", "://hunter2@x"} {
		r := inProcess(t, nil, "", "serve", "--print-config", "--nats-urls", bad)
		if r.code != 0 {
			r.must(t, 2, "nats.urls")
		}
		if strings.Contains(r.stdout+r.stderr, "ter2") {
			t.Errorf("the password of %q is printed: %s%s", bad, r.stdout, r.stderr)
		}
	}
}

func TestConfigReportsEveryFaultAtOnce(t *testing.T) {
	file := writeFile(t, "restraint.yaml", `node: ""
listen: 127.0.0.1
admn: {listen: 127.0.0.1:8081}
nats:
  urls: [http://a, "nats://ok:4222"]
  replica: 3
  replicas: 9
caps: {memory: 2 gigs}
lists: 0.5
snapshot: {every: 1}
limits: {upload: [1GiB], connections: ten}
keys_file:
log: {level: loud}
log: {level: info}
max_stale: 1h
`)
	env := func(k string) (string, bool) { return "1.5", k == "RESTRAINT_LISTS_MAX_SHRINK" }
	_, err := loadConfig(file, map[string]string{"ready.max_stale": "-1h", "tls.cert": "x"}, false, env)
	var faults configFaults
	if !errors.As(err, &faults) {
		t.Fatal(err)
	}
	wants := []string{
		file + ":1: node: \"\" is empty",
		file + ":2: listen: \"127.0.0.1\" is not an address",
		file + ":3: admn: there is no such key: did you mean admin?",
		file + ":5: nats.urls: \"http://a\" is not the address of a NATS server",
		file + ":6: nats.replica: there is no such key: did you mean nats.replicas?",
		file + ":7: nats.replicas: \"9\" is not a whole number from 1 to 5",
		file + ":8: caps.memory: \"2 gigs\" is not a size",
		file + ":9: lists: \"0.5\" is no value for a section",
		file + ":10: snapshot.every: \"1\" is not a duration",
		file + ":11: limits.upload: this is a list",
		file + ":11: limits.connections: \"ten\"",
		file + ":12: keys_file: the key has no value",
		file + ":13: log.level: \"loud\" is none of debug, info, warn, error",
		file + ":14: log: the key stands here a second time (first in line 13)",
		file + ":15: max_stale: there is no such key: did you mean ready.max_stale?",
		"RESTRAINT_LISTS_MAX_SHRINK: lists.max_shrink: \"1.5\" is not a share",
		"--ready-max-stale: ready.max_stale: \"-1h\" is too short",
		"--tls-cert: tls.cert: a certificate without its key",
	}
	if len(faults) != len(wants) {
		t.Errorf("%d faults, want %d:\n%v", len(faults), len(wants), err)
	}
	for i, want := range wants {
		if i < len(faults) && !strings.HasPrefix(faults[i].String(), want) {
			t.Errorf("fault %d is\n%s\nwant\n%s", i, faults[i], want)
		}
	}
}

func TestConfigFaultsOfKeysTogether(t *testing.T) {
	for _, c := range []struct {
		flags   map[string]string
		replays bool
		want    string // "" for none
	}{
		{map[string]string{"listen": ":8080"}, false, "there are no keys"},
		{map[string]string{"listen": "0.0.0.0:8080"}, false, "there are no keys"},
		{map[string]string{"listen": "10.0.0.1:8080", "keys_file": "k"}, false, ""},
		{map[string]string{"listen": "[::1]:8080", "admin.listen": "localhost:8081"}, false, ""},
		{map[string]string{"listen": "127.0.0.1:0", "admin.listen": "127.0.0.1:0"}, false, ""},
		{map[string]string{"listen": "127.0.0.1:8081"}, false, "the bid listener's address too"},
		{map[string]string{"listen": "unix:/a"}, true, ""},
		{map[string]string{"listen": "10.0.0.1:8080", "keys_file": "k"}, true, "--clock=request"},
		{map[string]string{"nats.urls": "nats://a:1"}, true, "--clock=request"},
		{map[string]string{"nats.replicas": "3"}, false, "nats.urls names none"},
		{map[string]string{"nats.sync_interval": "2s"}, false, ""},
		{map[string]string{"nats.sync_interval": "11m"}, false, `"11m" is too long: the most is 10m`},
		{map[string]string{"nats.sync_interval": "0s"}, false, `"0s" is too short: the least is 100ms`},
		{map[string]string{"nats.sync_interval": "-5s"}, false, "too short"},
		{map[string]string{"nats.sync_interval": "10"}, false, "not a duration"},
		{map[string]string{"nats.max_age": "6m"}, false, ""},
		{map[string]string{"nats.max_age": "6m", "nats.urls": "nats://a:1"}, false, ""},
		{map[string]string{"nats.max_age": "359s"}, false, "--nats-max-age: nats.max_age: events that NATS keeps for \"5m59s\" are too short with a snapshot every \"30s\""},
		{map[string]string{"nats.max_age": "359s"}, false, "set snapshot.every to at most 29s"},
		{map[string]string{"nats.max_age": "12s", "snapshot.every": "1s"}, false, ""},
		{map[string]string{"nats.max_age": "11s", "snapshot.every": "1s"}, false, "nats.max_age: \"11s\" is too short: the least is 12s"},
		{map[string]string{"snapshot.every": "7h"}, false, "--snapshot-every: snapshot.every: events that NATS keeps for \"72h\""},
		{map[string]string{"snapshot.every": "2000000h"}, false, "at most 6h"},
		{map[string]string{"nats.tls.key": "k", "nats.urls": "nats://a:1"}, false, "a key without its certificate"},
		{map[string]string{"tls.client_ca": "ca"}, false, "over TLS only"},
	} {
		_, err := loadConfig("", c.flags, c.replays, noEnv)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, clock=request %v: %v, want %q", c.flags, c.replays, err, c.want)
		}
	}
}

func TestConfigStrangeFiles(t *testing.T) {
	for name, c := range map[string]struct{ content, want string }{
		"empty":     {"", ""},
		"comments":  {"# nothing\n", ""},
		"list":      {"- a\n", "holds no keys"},
		"scalar":    {"hello\n", "holds no keys"},
		"broken":    {"listen: 127.0.0.1:1\nnode: [a\ndata: x\n", "r.yaml:2: did not find expected"},
		"anchor":    {"node: a\ndata: *d\n", "r.yaml:2: unknown anchor"},
		"tab":       {"nats:\n\turls: []\n", "r.yaml:2: "},
		"two":       {"node: a\n---\nnode: b\n", "r.yaml:2: a second document"},
		"alias":     {"data: &d x\npolicy: *d\n", "r.yaml:2: policy: this is a section or an alias"},
		"merge":     {"tls: &t {cert: a, key: b}\nnats: {tls: {<<: *t}}\n", "there is no such key"},
		"nested":    {"nats: {urls: [[nats://a:1]]}\n", "no plain value"},
		"not UTF-8": {"node: \xff\xfe\n", "r.yaml"},
		"control":   {"node: a\x00b\n", "r.yaml"},
		"long":      {"# " + strings.Repeat("x", 2<<20), "too many"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := loadConfig(writeFile(t, "r.yaml", c.content), nil, false, noEnv)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	if _, err := loadConfig(t.TempDir(), nil, false, noEnv); err == nil {
		t.Error("a folder was read")
	}
}

func TestParseBytes(t *testing.T) {
	for s, want := range map[string]Bytes{
		"0B": 0, "1": 1, "1B": 1, "1kB": 1000, "1KiB": 1024, "512MiB": 512 << 20,
		"2GiB": 2 << 30, "2 GiB": 2 << 30, "3TiB": 3 << 40, "20GB": 20e9,
	} {
		if got, err := parseBytes(s); err != nil || got != want {
			t.Errorf("%q = %d, %v, want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "GiB", "-1GiB", "1.5GiB", "2G", "2gib", "1e3", "9223372036854775808", "9000000TiB", "0x10"} {
		if got, err := parseBytes(s); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", s)) {
			t.Errorf("%q = %d, %v", s, got, err)
		}
	}
	for _, b := range []Bytes{0, 1, 1023, 1024, 1536, 1 << 20, 2 << 30, 20e9, 1 << 62} {
		if again, err := parseBytes(b.String()); err != nil || again != b {
			t.Errorf("%d prints as %s, read as %d, %v", b, b, again, err)
		}
	}
}

func FuzzConfigFile(f *testing.F) {
	f.Add([]byte(asYAML(samples)))
	f.Add([]byte("nats: {urls: [a, b], tls: &x {ca: *x}}"))
	f.Add([]byte("? {a: b}\n: c\n"))
	f.Add([]byte("a: !!binary x\n<<: 1\n---\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		c := defaultConfig()
		l := loader{keys: c.keys(), origins: c.origins}
		l.readYAML("f.yaml", content)
		for _, fault := range l.faults {
			if fault.where == "" || fault.what == "" {
				t.Fatalf("an empty fault: %+v", l.faults)
			}
		}
	})
}
