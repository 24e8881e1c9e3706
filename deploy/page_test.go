package deploy

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// section is the text of the page below a heading.
func section(t *testing.T, heading string) string {
	t.Helper()
	_, text, found := strings.Cut(read(t, "README.md"), "\n## "+heading+"\n")
	if !found {
		t.Fatalf("README.md has no section %q", heading)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	return text
}

// commands are the indented lines of a text.
func commands(text string) (script string) {
	for line := range strings.Lines(text) {
		if command, is := strings.CutPrefix(line, "    "); is {
			script += command
		}
	}
	return script
}

// The commands of "On this machine", typed into a shell, are three nodes with TLS and keys
// over three NATS servers: what is reported to one is known to the other. They are run on
// an address of this machine that nobody else uses.
func TestPageOnThisMachine(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("there is no openssl, which certificates.sh needs")
	}
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("there is no curl, which the page uses")
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{program: "bin/restraint", abs(t, "."): "deploy"} {
		if err := os.Symlink(from, filepath.Join(dir, to)); err != nil {
			t.Fatal(err)
		}
	}
	pid := os.Getpid()
	address := fmt.Sprintf("127.%d.%d.%d", 1+pid>>14&0x7f, pid>>7&0x7f, 1+pid&0x7f)
	script := strings.ReplaceAll(commands(section(t, "On this machine")), "127.0.0.1", address)
	cmd := exec.CommandContext(t.Context(), "sh", "-c", script+"\ntrap '' TERM; kill 0; wait\n")
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // what it starts ends with it
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v", err)
	}
	said := string(out)
	for _, want := range []string{
		`{"accepted":1,"rejected":[]}`, "spring-shoes  skip: spacing", "acme-customers", `"node":"edge-1"`, `"broker":"cluster"`, `"ready":true`,
	} {
		if !strings.Contains(said, want) {
			t.Errorf("%q was not said", want)
		}
	}
	if t.Failed() {
		t.Log(said)
		logs, _ := filepath.Glob(filepath.Join(dir, "try/*.log"))
		for _, log := range logs {
			t.Logf("%s\n%s", log, read(t, log))
		}
	}
}

var (
	commandPattern = regexp.MustCompile(`(?m)(?:^\s*|\$\()(?:bin/)?restraint ([a-z]+)((?: [^|&>\n)]*)?)`)
	flagPattern    = regexp.MustCompile(`--[a-z-]+`)
	linkPattern    = regexp.MustCompile(`\]\(([^)#]+)\)`)
)

// Every command of the program on the page, with its flags, is one that the program has;
// every link leads to a file; every manifest and certificate name is the one used elsewhere.
func TestPage(t *testing.T) {
	page := read(t, "README.md")
	script := strings.ReplaceAll(commands(page), "\\\n", " ")
	for _, inline := range regexp.MustCompile("`(restraint [^`]+)`").FindAllStringSubmatch(page, -1) {
		script += "\n" + inline[1]
	}
	helps, checked := map[string]string{}, 0
	for _, found := range commandPattern.FindAllStringSubmatch(script, -1) {
		words := append([]string{found[1]}, strings.Fields(found[2])...)
		if slices.Contains([]string{"audit", "keys", "policy", "snapshot", "user"}, words[0]) {
			words = append([]string{words[0] + " " + words[1]}, words[2:]...)
		}
		if helps[words[0]] == "" {
			said, code := call(t, t.TempDir(), nil, append(strings.Fields(words[0]), "--help")...)
			if code != 0 {
				t.Errorf("restraint %s: %s", words[0], said)
			}
			helps[words[0]] = said
		}
		for _, flag := range flagPattern.FindAllString(found[2], -1) {
			checked++
			if !strings.Contains(helps[words[0]], flag+"=") && !strings.Contains(helps[words[0]], flag+" ") {
				t.Errorf("restraint %s has no %s", words[0], flag)
			}
		}
	}
	if checked < 30 {
		t.Errorf("only %d flags were found on the page", checked)
	}
	for _, link := range linkPattern.FindAllStringSubmatch(page, -1) {
		if _, err := os.Stat(link[1]); err != nil && !strings.Contains(link[1], "://") {
			t.Error(err)
		}
	}
	for _, name := range []string{"restraint-secret", "restraint-tls", "restraint-nats-client", "restraint-nats-server"} {
		if !strings.Contains(page, "create secret generic "+name+" ") && !strings.Contains(page, "create secret tls "+name+" ") {
			t.Errorf("the page does not make %s", name)
		}
	}
	for _, metric := range regexp.MustCompile("`(restraint_[a-z_]+)`").FindAllStringSubmatch(page, -1) {
		if scraped(t)[metric[1]] == nil && scraped(t)[metric[1]+"_count"] == nil {
			t.Errorf("no node has %s", metric[1])
		}
	}
}

// The example policies are without fault, also those of the advertisers of each kind.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("examples/*.yaml")
	if err != nil || len(files) < 7 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		if said, code := call(t, t.TempDir(), nil, "check", "--policy", abs(t, file)); code != 0 {
			t.Errorf("%s: %s", file, said)
		}
	}
}
