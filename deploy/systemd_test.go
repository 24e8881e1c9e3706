package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// unit is a unit's settings, by name; those that stand more than once, in their order.
func unit(t *testing.T, name string) map[string][]string {
	t.Helper()
	settings := map[string][]string{}
	for line := range strings.Lines(read(t, name)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == '[' {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			t.Errorf("%s: %q is no setting", name, line)
		}
		settings[key] = append(settings[key], value)
	}
	return settings
}

func one(t *testing.T, settings map[string][]string, key string) string {
	t.Helper()
	if len(settings[key]) != 1 {
		t.Fatalf("%s: %q", key, settings[key])
	}
	return settings[key][0]
}

func duration(t *testing.T, s string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// The unit says what the program does: it is told, fed and ended as it should be, has the
// files and the memory that it needs, and starts with a configuration that is right.
func TestUnit(t *testing.T) {
	u := unit(t, "systemd/restraint.service")
	for key, want := range map[string]string{
		"Type": "notify", "NotifyAccess": "main", "ExecReload": "/bin/kill -HUP $MAINPID", "StateDirectory": "restraint", "User": "restraint",
		"ProtectSystem": "strict", "NoNewPrivileges": "yes", "CapabilityBoundingSet": "", "TimeoutStartSec": "infinity", "KillSignal": "SIGTERM",
	} {
		if got := one(t, u, key); got != want {
			t.Errorf("%s=%s, not %s", key, got, want)
		}
	}
	if stop := duration(t, one(t, u, "TimeoutStopSec")); stop <= drain(t) {
		t.Errorf("TimeoutStopSec %s: a drain may take %s", stop, drain(t))
	}
	if watchdog := duration(t, one(t, u, "WatchdogSec")); watchdog < 10*time.Second {
		t.Errorf("WatchdogSec %s: a busy machine kills it", watchdog)
	}
	config := printed(t, nil, "--config", abs(t, "systemd/restraint.yaml"))
	connections, err := strconv.Atoi(config["limits.connections"])
	if err != nil {
		t.Fatal(err)
	}
	// Each listener takes twice its connections, and 100, to tell those over the limit; files of lists beside.
	if files, err := strconv.Atoi(one(t, u, "LimitNOFILE")); err != nil || files < 2*(2*connections+100)+1000 {
		t.Errorf("LimitNOFILE %d with limits.connections %d", files, connections)
	}
	goLimit, ok := strings.CutPrefix(one(t, u, "Environment"), "GOMEMLIMIT=")
	if !ok {
		t.Fatal(u["Environment"])
	}
	fits(t, config["caps.memory"], goLimit, one(t, u, "MemoryMax"))
	if !strings.HasPrefix(config["data"], "/var/lib/"+one(t, u, "StateDirectory")+"/") {
		t.Errorf("data %s is not in the folder that the unit may write", config["data"])
	}
	started := strings.Fields(one(t, u, "ExecStart"))
	if strings.Join(started, " ") != "/usr/local/bin/restraint serve --config /etc/restraint/restraint.yaml" {
		t.Error(started)
	}
	layOut(t, read(t, "systemd/restraint.yaml"), map[string]string{"/etc/restraint/": "etc/", "/var/lib/restraint/": "var/"})

	// A wrong configuration ends with the code that is not tried again.
	if _, code := call(t, t.TempDir(), nil, "serve", "--config", "none.yaml"); strconv.Itoa(code) != one(t, u, "RestartPreventExitStatus") {
		t.Errorf("exit code %d", code)
	}
	n := unit(t, "systemd/restraint-nats.service")
	if got := one(t, n, "ExecStart"); got != "/usr/local/bin/restraint nats --config /etc/restraint-nats/server.conf" {
		t.Error(got)
	}
}

func abs(t testing.TB, name string) string {
	t.Helper()
	path, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// layOut writes a configuration with its paths moved below a folder, and every file that it
// names, and has it checked. It returns the folder.
func layOut(t *testing.T, config string, moved map[string]string) (dir, file string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "restraint-layout")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for from, to := range moved {
		if err := os.MkdirAll(filepath.Join(dir, to), 0o755); err != nil {
			t.Fatal(err)
		}
		config = strings.ReplaceAll(config, from, filepath.Join(dir, to)+"/")
	}
	file = filepath.Join(dir, "restraint.yaml")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	keys := printed(t, nil, "--config", file)
	pki := filepath.Join(dir, "pki")
	issue(t, pki, "node", "127.0.0.1", "localhost", "node.restraint")
	for key, from := range map[string]string{
		"tls.cert": pki + "/node.pem", "tls.key": pki + "/node-key.pem", "nats.tls.cert": pki + "/node.pem", "nats.tls.key": pki + "/node-key.pem",
		"nats.tls.ca": pki + "/ca.pem", "policy": "examples/policy.yaml",
	} {
		if keys[key] == "" {
			t.Errorf("the configuration has no %s", key)
			continue
		}
		if _, err := os.Stat(keys[key]); err == nil {
			continue // the caller's
		}
		if err := os.WriteFile(keys[key], []byte(read(t, from)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(keys["secret_file"], []byte(strings.Repeat("s", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	if said, code := call(t, dir, nil, "keys", "new", "--keys-file", keys["keys_file"], "--client", "test", "--role", "ops"); code != 0 {
		t.Fatal(said)
	}
	if said, code := call(t, dir, nil, "check", "--config", file); code != 0 {
		t.Errorf("%s\n%s", said, config)
	}
	return dir, file
}

// The example of a server's environment, with its paths moved, is one with which a server starts.
func TestNATSEnvironment(t *testing.T) {
	dir := t.TempDir()
	pki := filepath.Join(dir, "etc")
	issue(t, pki, "server", "127.0.0.1", "server.restraint")
	addrs := freeAddrs(t, 2)
	var env []string
	for line := range strings.Lines(read(t, "systemd/restraint-nats.env")) {
		if line[0] == '#' {
			continue
		}
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		value = strings.Trim(value, "'") // as systemd reads it
		for from, to := range map[string]string{"/etc/restraint-nats/": pki + "/", "/var/lib/restraint-nats/": dir + "/", "10.0.0.11:4222": addrs[0], "10.0.0.11:6222": addrs[1]} {
			value = strings.ReplaceAll(value, from, to)
		}
		env = append(env, name+"="+value)
	}
	s := start(t, dir, env, "nats", "--config", abs(t, "nats/cluster/server.conf"))
	poll(t, "the server listens for others", func() bool { return strings.Contains(s.logged(), "Listening for route connections on "+addrs[1]) })
}

// Where systemd is installed it finds no fault with the units, and little that they could
// do without.
func TestUnitsBySystemd(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("there is no systemd-analyze")
	}
	dir := t.TempDir()
	for _, name := range []string{"restraint.service", "restraint-nats.service"} {
		file := filepath.Join(dir, name)
		text := strings.ReplaceAll(read(t, "systemd/"+name), "/usr/local/bin/restraint ", program+" ")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if said, err := exec.Command(analyze, "verify", "--man=no", file).CombinedOutput(); err != nil || len(said) > 0 {
			t.Errorf("%s: %v\n%s", name, err, said)
		}
		if said, err := exec.Command(analyze, "security", "--offline=true", "--threshold=15", file).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, said)
		}
	}
}
