package main

import (
	"strings"
	"testing"
)

// A variable that is nearly one of a setting is a fault like any other, with those of the
// rest; one that is like none is told of, but for what commands and Kubernetes have.
func TestStrangeVariables(t *testing.T) {
	for name, want := range map[string]string{
		"RESTRAINT_KEYS_FLE":                 "RESTRAINT_KEYS_FLE: there is no such key: did you mean RESTRAINT_KEYS_FILE?",
		"RESTRAINT_TLS_CLIENTCA":             "did you mean RESTRAINT_TLS_CLIENT_CA?",
		"RESTRAINT_LISTN":                    "did you mean RESTRAINT_LISTEN?",
		"RESTRAINT_TEMPERATURE":              "",
		"RESTRAINT_MODE":                     "",
		"RESTRAINT_":                         "",
		"RESTRAINT_KEY":                      "",
		"RESTRAINT_LISTEN":                   "",
		"RESTRAINT_SERVICE_HOST":             "",
		"RESTRAINT_SERVICE_PORT_BIDS":        "",
		"RESTRAINT_ADMIN_PORT":               "",
		"RESTRAINT_PORT_8080_TCP":            "",
		"RESTRAINT_ADMIN_PORT_8081_TCP_ADDR": "",
		"restraint_listen":                   "",
		"OTHER_RESTRAINT_X":                  "",
	} {
		for _, command := range [][]string{{"serve", "--print-config"}, {"check"}} {
			r := inProcess(t, map[string]string{name: "127.0.0.1:4444"}, "", command...)
			if want == "" {
				r.must(t, 0)
			} else {
				r.must(t, 2, want)
			}
			told := command[0] == "check" && (name == "RESTRAINT_TEMPERATURE" || name == "RESTRAINT_MODE" || name == "RESTRAINT_")
			if told != strings.Contains(r.stdout, "note: "+name+": no setting has this variable") {
				t.Errorf("%s: %s", name, r.stdout)
			}
			if strings.Contains(r.stderr, "4444") {
				t.Errorf("%s: its value is printed: %s", name, r.stderr)
			}
		}
	}
	inProcess(t, map[string]string{"RESTRAINT_CAPS_MEMRY": "x", "RESTRAINT_KEYS_FLE": "y", "RESTRAINT_LISTEN": "nowhere"}, "", "serve").
		must(t, 2, "3 faults", "RESTRAINT_CAPS_MEMRY: ", "RESTRAINT_KEYS_FLE: ", "RESTRAINT_LISTEN: listen: ")
	inProcess(t, map[string]string{"RESTRAINT_LISTN": "x"}, "", "version").must(t, 0) // which has no configuration
}

// The printed configuration says of each key where its value comes from: the line of the
// file, the variable, the flag, or nowhere.
func TestPrintConfigSaysWhere(t *testing.T) {
	c := defaultConfig()
	file, env, args, want := map[string]string{}, map[string]string{}, []string{"serve", "--print-config"}, map[string]string{}
	for i, k := range c.keys() {
		switch i % 4 {
		case 0:
			file[k.name] = samples[k.name]
		case 1:
			env[k.env()], want[k.name] = samples[k.name], "environment, "+k.env()
		case 2:
			args, want[k.name] = append(args, "--"+k.flag()+"="+samples[k.name]), "flag, --"+k.flag()
			file[k.name], env[k.env()] = samples[k.name], samples[k.name] // which the flag outdoes
		default:
			want[k.name] = "default"
		}
	}
	// What goes only together with others.
	for key, value := range map[string]string{"tls.cert": "g", "tls.key": "h", "nats.urls": "nats://a:1", "nats.tls.cert": "e", "nats.tls.key": "f"} {
		if want[key] == "default" {
			args, want[key] = append(args, "--"+configKey{name: key}.flag()+"="+value), "flag, --"+configKey{name: key}.flag()
		}
	}
	text := asYAML(file)
	path := writeFile(t, "r.yaml", text)
	r := inProcess(t, env, "", append(args, "--config", path)...)
	r.must(t, 0)
	says, sections := map[string]string{}, []string{}
	for line := range strings.Lines(r.stdout) {
		setting, comment, _ := strings.Cut(strings.TrimRight(line, "\n"), "  # ")
		name, _, _ := strings.Cut(strings.TrimSpace(setting), ":")
		depth := (len(setting) - len(strings.TrimLeft(setting, " "))) / 2
		sections = append(sections[:depth], name)
		if comment != "" {
			says[strings.Join(sections, ".")] = comment
		}
	}
	for i, k := range c.keys() {
		if i%4 == 0 {
			if at, ok := strings.CutPrefix(says[k.name], "file, "+path+":"); !ok || !strings.Contains(lineOf(text, at), k.name[strings.LastIndexByte(k.name, '.')+1:]+": "+samples[k.name]) {
				t.Errorf("%s comes from %q", k.name, says[k.name])
			}
		} else if says[k.name] != want[k.name] {
			t.Errorf("%s comes from %q, not %q", k.name, says[k.name], want[k.name])
		}
	}
	if len(says) != len(c.keys()) {
		t.Errorf("%d keys are printed of %d", len(says), len(c.keys()))
	}
}

// lineOf is a line of a text by its number.
func lineOf(text, number string) string {
	n := 0
	for _, digit := range number {
		n = 10*n + int(digit-'0')
	}
	if lines := strings.Split(text, "\n"); n >= 1 && n <= len(lines) {
		return lines[n-1]
	}
	return ""
}
