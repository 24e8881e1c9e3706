package main

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// configFault is one thing wrong with the configuration.
type configFault struct {
	where string // restraint.yaml:7, RESTRAINT_LISTEN or --listen
	key   string // "" for the file as a whole
	what  string // with the value and the mend
	order int    // files by line first, then environment, flags, and what keys say together
}

func (f configFault) String() string {
	if f.key == "" {
		return f.where + ": " + f.what
	}
	return f.where + ": " + f.key + ": " + f.what
}

// configFaults are all faults of a configuration.
type configFaults []configFault

// Error has one line for each fault.
func (fs configFaults) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "the configuration has %s", plural(len(fs), "fault"))
	for _, f := range fs {
		// A value that is a list can have several.
		for line := range strings.SplitSeq(f.what, "\n") {
			f.what = line
			b.WriteString("\n  " + f.String())
		}
	}
	return b.String()
}

// loadConfig reads the configuration: flag over environment over file over
// default. path may be "", for no file. flags has the values of the flags given,
// by key; requestClock is serve's --clock=request.
// An error is of type configFaults and has every fault; the
// Config beside it then has the values that were right.
func loadConfig(path string, flags map[string]string, requestClock bool, lookup func(string) (string, bool)) (Config, error) {
	c := defaultConfig()
	c.RequestClock = requestClock
	l := loader{keys: c.keys(), origins: c.origins}
	if path != "" {
		l.readFile(path)
	}
	for _, k := range l.keys {
		if v, ok := lookup(k.env()); ok {
			l.set(k, origin{"environment", k.env()}, []string{v}, false, orderEnvironment)
		}
		if v, ok := flags[k.name]; ok {
			l.set(k, origin{"flag", "--" + k.flag()}, []string{v}, false, orderFlag)
		}
	}
	c.settle()
	l.check(&c)
	if len(l.faults) > 0 {
		slices.SortStableFunc(l.faults, func(a, b configFault) int { return cmp.Compare(a.order, b.order) })
		return c, l.faults
	}
	return c, nil
}

const (
	orderEnvironment = 1<<30 + iota // after all lines of the file
	orderFlag
	orderTogether
)

// loader gathers values and faults.
type loader struct {
	keys    []configKey
	origins map[string]origin
	faults  configFaults
}

func (l *loader) fault(where, key string, order int, format string, args ...any) {
	l.faults = append(l.faults, configFault{where, key, fmt.Sprintf(format, args...), order})
}

// set gives the key its value from a stronger source than those before.
func (l *loader) set(k configKey, from origin, values []string, isList bool, order int) {
	var err error
	list, ok := k.value.(interface{ setAll([]string) error })
	switch {
	case !isList:
		err = k.value.Set(values[0])
	case ok:
		err = list.setAll(values)
	default:
		err = fmt.Errorf("this is a list, and the key takes one value")
	}
	if err != nil {
		l.fault(from.where, k.name, order, "%v", err)
	}
	l.origins[k.name] = from
}

// readFile reads the YAML file at path.
func (l *loader) readFile(path string) {
	const most = 1 << 20 // a configuration has under 2 KiB
	info, err := os.Stat(path)
	if err == nil && info.Size() > most {
		err = fmt.Errorf("%d bytes are too many for a configuration", info.Size())
	}
	var content []byte
	if err == nil {
		content, err = os.ReadFile(path)
	}
	if err != nil {
		l.fault(path, "", 0, "%v: give the path of a configuration file, or leave --config out for the defaults", err)
		return
	}
	l.readYAML(path, content)
}

// snapshotsInAge is how many snapshots are taken, at least, while NATS keeps an event: what a copy of one is behind by must be a small part
// of that time. Chosen: as many as copies.
const snapshotsInAge = 12

// check reports what is wrong with values that are each right by themselves.
func (l *loader) check(c *Config) {
	together := func(key, format string, args ...any) {
		where := l.origins[key].where
		if where == "" {
			where = "default"
		}
		l.fault(where, key, orderTogether, format, args...)
	}
	pair := func(certKey, cert, keyKey, key string) {
		if cert != "" && key == "" {
			together(certKey, "a certificate without its key: set %s too", keyKey)
		}
		if key != "" && cert == "" {
			together(keyKey, "a key without its certificate: set %s too", certKey)
		}
	}
	pair("tls.cert", c.TLS.Cert, "tls.key", c.TLS.Key)
	pair("nats.tls.cert", c.NATS.TLS.Cert, "nats.tls.key", c.NATS.TLS.Key)
	if c.Node == "" {
		together("node", "this machine has no host name: give the node a name")
	}
	if c.TLS.ClientCA != "" && c.TLS.Cert == "" {
		together("tls.client_ca", "callers' certificates are asked for over TLS only: set tls.cert and tls.key too")
	}
	if c.Listen == c.Admin.Listen && !strings.HasSuffix(c.Listen, ":0") {
		together("admin.listen", "%q is the bid listener's address too: give each its own", c.Admin.Listen)
	}
	for _, listener := range []struct{ key, addr string }{{"listen", c.Listen}, {"admin.listen", c.Admin.Listen}} {
		switch {
		case c.KeysFile == "" && !isLocal(listener.addr):
			together(listener.key, "%q can be reached from other machines and there are no keys: set keys_file, or listen on 127.0.0.1", listener.addr)
		case c.RequestClock && !isLocal(listener.addr):
			together(listener.key, "%q can be reached from other machines, which --clock=request does not allow: listen on 127.0.0.1", listener.addr)
		}
	}
	if most := (c.NATS.MaxAge / snapshotsInAge).Truncate(time.Second); c.Snapshot.Every > most {
		key := "nats.max_age"
		if c.Given("snapshot.every") && !c.Given(key) {
			key = "snapshot.every"
		}
		together(key, "events that NATS keeps for %q are too short with a snapshot every %q, since a node that was away for longer takes a copy of another's: set snapshot.every to at most %s, or nats.max_age to at least %d times snapshot.every",
			shortDuration(c.NATS.MaxAge), shortDuration(c.Snapshot.Every), shortDuration(most), snapshotsInAge)
	}
	if len(c.NATS.URLs) > 0 {
		if c.RequestClock {
			together("nats.urls", "--clock=request is for the embedded NATS only: leave nats.urls out")
		}
		return
	}
	for _, k := range l.keys {
		if strings.HasPrefix(k.name, "nats.") && k.name != "nats.urls" &&
			k.name != "nats.sync_interval" && k.name != "nats.max_age" && // which the embedded server obeys
			l.origins[k.name].where != "" &&
			k.value.String() != "" && k.value.String() != "1" {
			together(k.name, "%q is for a NATS cluster, and nats.urls names none: set nats.urls, or leave this out", k.value)
		}
	}
}
