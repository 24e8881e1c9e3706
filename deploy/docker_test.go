package deploy

import (
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// instruction is a line of a Dockerfile's last stage.
type instruction struct{ name, args string }

func lastStage(t *testing.T) (stage []instruction) {
	t.Helper()
	for line := range strings.Lines(read(t, "docker/Dockerfile")) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, args, _ := strings.Cut(line, " ")
		if name == "FROM" {
			stage = nil
		}
		stage = append(stage, instruction{name, args})
	}
	return stage
}

// The image's own program needs nothing beside it: no loader, no library.
func TestStatic(t *testing.T) {
	f, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("it asks for a loader")
		}
	}
	if libraries, err := f.ImportedLibraries(); err != nil || len(libraries) > 0 {
		t.Errorf("it needs %q, %v", libraries, err)
	}
}

// What the Dockerfile says is what the program understands.
func TestDockerfile(t *testing.T) {
	stage := lastStage(t)
	if stage[0] != (instruction{"FROM", "scratch"}) {
		t.Fatal(stage[0])
	}
	by := map[string]string{}
	var env []string
	for _, i := range stage {
		by[i.name] = i.args
		if i.name == "ENV" {
			env = append(env, i.args)
		}
		if i.name == "RUN" {
			t.Error("an empty image has nothing to run: ", i.args)
		}
	}
	if !regexp.MustCompile(`^[1-9]\d*:[1-9]\d*$`).MatchString(by["USER"]) {
		t.Errorf("USER %s: Kubernetes believes that it is not root only where it is a number", by["USER"])
	}
	if by["ENTRYPOINT"] != `["/restraint"]` || by["CMD"] != `["serve"]` || !strings.Contains(read(t, "docker/Dockerfile"), "COPY --from=build /out/restraint /restraint\n") {
		t.Errorf("ENTRYPOINT %s CMD %s", by["ENTRYPOINT"], by["CMD"])
	}
	keys := printed(t, env)
	if keys["data"] != by["VOLUME"] || by["WORKDIR"] != by["VOLUME"] {
		t.Errorf("data %s, VOLUME %s, WORKDIR %s", keys["data"], by["VOLUME"], by["WORKDIR"])
	}
	for _, port := range strings.Fields(by["EXPOSE"]) {
		if !strings.HasSuffix(keys["listen"], ":"+port) && !strings.HasSuffix(keys["admin.listen"], ":"+port) {
			t.Errorf("EXPOSE %s: listen %s, admin.listen %s", port, keys["listen"], keys["admin.listen"])
		}
	}
}

// An image in which there is nothing but what the Dockerfile puts there, as its user:
// the program knows time zones, starts, and ends when it is told to.
func TestEmptyRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may change the root")
	}
	root, err := os.MkdirTemp("", "restraint-root")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(root)
	data := filepath.Join(root, "var/lib/restraint")
	copied, err := os.ReadFile(program)
	for _, step := range []func() error{
		func() error { return err },
		func() error { return os.Chmod(root, 0o755) },
		func() error { return os.MkdirAll(data, 0o755) },
		func() error { return os.Chown(data, 65532, 65532) },
		func() error { return os.Chmod(data, 0o700) },
		func() error { return os.WriteFile(filepath.Join(root, "restraint"), copied, 0o755) },
		func() error {
			return os.WriteFile(filepath.Join(root, "policy.yaml"), []byte("timezone: Pacific/Chatham\ncampaigns: {a: {advertiser: b, purpose: contextual}}\n"), 0o644)
		},
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	inside := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), "/restraint", args...)
		cmd.Dir, cmd.Env = "/var/lib/restraint", []string{"RESTRAINT_DATA=/var/lib/restraint"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
		return cmd
	}
	if said, err := inside("check", "--policy", "/policy.yaml").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
	addrs := freeAddrs(t, 2)
	node := &running{cmd: inside("serve", "--listen", addrs[0], "--admin-listen", addrs[1]), ended: make(chan error, 1)}
	node.cmd.Stderr = node
	if err := node.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { node.ended <- node.cmd.Wait() }()
	c := new(caller)
	poll(t, "the node is ready", func() bool {
		status, _ := c.do("GET", "http://"+addrs[1]+"/readyz", "", "")
		return status == 200
	})
	if status, said := c.do("POST", "http://"+addrs[0]+"/v1/decide", "application/json", `{"user":{"id":"u"},"candidates":[{"campaign":"brand-x"}]}`); status != 200 || !strings.Contains(said, `"show":true`) {
		t.Errorf("%d %s", status, said)
	}
	node.stop(t)
	if t.Failed() {
		t.Log(node.logged())
	}
}

// A secret that is handed to a service, root's and readable by its group, is taken, by
// that service alone and only so far.
func TestSecretOfGroup(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can hand a file to another user")
	}
	dir, err := os.MkdirTemp("", "restraint-secret")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte(strings.Repeat("s", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		uid, gid uint32
		mode     os.FileMode
		want     string
	}{
		{65532, 65532, 0o440, "no such file"}, // the policy is missing, which is looked for after the secret
		{65532, 65532, 0o640, "no such file"},
		{65532, 65532, 0o460, "by others than its owner"},
		{65532, 65532, 0o444, "by others than its owner"},
		{65532, 1, 0o440, "permission denied"},
		{0, 0, 0o440, "by others than its owner"},
	} {
		home := filepath.Join(dir, fmt.Sprintf("%d-%d-%o", c.uid, c.gid, c.mode))
		for _, err := range []error{os.Chown(secret, 0, 65532), os.Chmod(secret, c.mode), os.Mkdir(home, 0o700), os.Chown(home, int(c.uid), int(c.gid))} {
			if err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.CommandContext(t.Context(), program, "serve", "--secret-file", secret, "--data", home, "--policy", "none.yaml")
		cmd.Dir, cmd.Env = home, []string{"PATH="}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: c.uid, Gid: c.gid}}
		said, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(said), c.want) {
			t.Errorf("user %d, group %d, mode %o: %v\n%s", c.uid, c.gid, c.mode, err, said)
		}
	}
}
