package replica

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

func configFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A server that everybody could use, or look into, is refused; every such listener is named.
func TestServerListeners(t *testing.T) {
	a := newAuthority(t)
	tls := func(verify bool) string {
		return fmt.Sprintf("tls {cert_file: %q, key_file: %q, ca_file: %q, verify: %t}", a.Cert, a.Key, a.CA, verify)
	}
	const local = "listen: 127.0.0.1:4222\n"
	const user = "authorization {user: edge, password: p}\n"
	for _, c := range []struct {
		text  string
		wants []string // none: accepted
	}{
		{local, nil},
		{"listen: localhost:4222", nil},
		{`listen: "[::1]:4222"`, nil},
		{"", []string{"client listener", "0.0.0.0:4222", "127.0.0.1"}},
		{"listen: 4333", []string{"0.0.0.0:4333"}},
		{"listen: 10.0.0.1:4222", []string{"10.0.0.1:4222"}},
		{"listen: nats.example:4222", []string{"nats.example:4222"}},
		{user, nil},
		{"authorization {token: t}", nil},
		{"accounts {A {users: [{user: u, password: p}]}}", nil},
		{"accounts {A {users: [{user: u, password: p}]}}\nno_auth_user: u", []string{"client listener"}},
		{tls(true), nil},
		{tls(false), []string{"client listener", "verify: true"}},
		{user + tls(false), nil},
		{local + "cluster {name: c, listen: 0.0.0.0:6222}", []string{"cluster", "0.0.0.0:6222"}},
		{local + "cluster {name: c, port: 6222}", []string{"cluster", "0.0.0.0:6222"}},
		{user + "cluster {name: c, listen: 10.0.0.1:6222}", []string{"cluster"}},
		{local + "cluster {name: c, listen: 10.0.0.1:6222, authorization {user: u, password: p}}", nil},
		{local + "cluster {name: c, listen: 10.0.0.1:6222\n" + tls(false) + "}", nil}, // routes always show a certificate
		{local + "cluster {name: c, listen: 127.0.0.1:6222}", nil},
		{local + "gateway {name: c, listen: 10.0.0.1:7222}", []string{"gateway"}},
		{local + "leafnodes {listen: 10.0.0.1:7422}", []string{"leafnodes"}},
		{local + user + "leafnodes {listen: 10.0.0.1:7422}", nil},
		{local + "websocket {listen: 10.0.0.1:8443, no_tls: true}", []string{"websocket"}},
		{local + "mqtt {listen: 10.0.0.1:1883}", []string{"mqtt"}},
		{local + "http: 10.0.0.1:8222", []string{"http (monitoring)", "10.0.0.1:8222"}},
		{user + "http: 8222", []string{"http (monitoring)"}},
		{local + "http: 8222", nil},
		{user + tls(false) + "\nhttps: 10.0.0.1:8222", nil},
		{user + "prof_port: 6060", []string{"prof_port"}},
		{"cluster {name: c, port: 6222}\nhttp: 8222", []string{"client listener", "cluster", "http"}},
		{local + "log_file: x.log", []string{"stderr"}},
		{local + "syslog: true", []string{"stderr"}},
		{local + "liste: 4", []string{"liste"}},
		{local + "jetstream: [", []string{"nats.conf", "line"}},
	} {
		_, err := serverOptions(configFile(t, c.text))
		if len(c.wants) == 0 {
			if err != nil {
				t.Errorf("%s\n%v", c.text, err)
			}
			continue
		}
		if !errors.Is(err, ErrServerConfig) {
			t.Errorf("%s\n%v", c.text, err)
			continue
		}
		for _, want := range c.wants {
			if !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(want)) {
				t.Errorf("%s\n%q is not in: %v", c.text, want, err)
			}
		}
	}
	if _, err := serverOptions(filepath.Join(t.TempDir(), "none.conf")); !errors.Is(err, ErrServerConfig) {
		t.Error(err)
	}
}

// The files under deploy are right, alike, and have room for the streams.
func TestServerDeployed(t *testing.T) {
	files := matches(t, "../../deploy/nats", "*.conf")
	if len(files) != 3 {
		t.Fatal(files)
	}
	ports, stores := map[int]bool{}, map[string]bool{}
	for _, file := range files {
		o, err := serverOptions(file)
		if err != nil {
			t.Fatal(err)
		}
		ports[o.Port], ports[o.Cluster.Port], stores[o.StoreDir] = true, true, true
		if !o.JetStream || o.JetStreamMaxStore <= defaultMaxStore || o.SyncInterval != defaultSync || len(o.Routes) != 3 || o.Cluster.Name != "restraint" {
			t.Errorf("%s: %+v", file, o)
		}
	}
	if len(ports) != 6 || len(stores) != 3 {
		t.Error(ports, stores)
	}
}

// ran is RunServer in a goroutine.
type ran struct {
	reload chan struct{}
	stop   context.CancelFunc
	ended  chan error
	log    logged
}

func runServer(t *testing.T, file string) *ran {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &ran{reload: make(chan struct{}), stop: cancel, ended: make(chan error, 1)}
	go func() { r.ended <- RunServer(ctx, file, r.reload, r.log.log()) }()
	t.Cleanup(cancel)
	return r
}

func TestRunServer(t *testing.T) {
	address, port := freePort(t)
	text := fmt.Sprintf("listen: 127.0.0.1:%d\njetstream {store_dir: %q, max_file_store: 9GiB}\n", port, t.TempDir())
	file := configFile(t, text)
	r := runServer(t, file)
	b, _ := testBroker(t, BrokerOptions{URLs: []string{address}})
	soon(t, "connection", b.connected)
	ensured(t, b)
	publishEvents(t, b, 5)

	second := runServer(t, configFile(t, fmt.Sprintf("listen: 127.0.0.1:%d", port)))
	if err := <-second.ended; err == nil || errors.Is(err, ErrServerConfig) || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("a second server on the same port: %v", err)
	}

	rewrite := func(more, says string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text+more), 0o600); err != nil {
			t.Fatal(err)
		}
		r.reload <- struct{}{}
		soon(t, says, func() bool { return strings.Contains(r.log.String(), says) })
	}
	rewrite("nonsense: {", "configuration not reloaded")
	rewrite("http: 10.0.0.1:8222", "which other machines can reach")
	publishEvents(t, b, 5)
	rewrite("authorization {user: u, password: p}", "configuration reloaded")
	soon(t, "the connection without a user ended", func() bool { return !b.connected() })

	r.stop()
	if err := <-r.ended; err != nil {
		t.Error(err)
	}
}

// natsCluster starts three servers that know one another.
func natsCluster(t *testing.T) (addresses []string) {
	t.Helper()
	var ports []int
	var listeners []net.Listener
	var routes []*url.URL
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
		routes = append(routes, &url.URL{Scheme: "nats-route", Host: l.Addr().String()})
		listeners = append(listeners, l) // all three at once, so that they differ
	}
	for _, l := range listeners {
		l.Close()
	}
	for i := range 3 {
		_, address := natsServer(t, func(o *server.Options) {
			o.ServerName = fmt.Sprint("nats-", i)
			o.Cluster = server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: ports[i]}
			o.Routes = routes
		})
		addresses = append(addresses, address)
	}
	return addresses
}

// Three servers keep three copies: streams are made, a name is refreshed, taken and lost as with one server.
func TestBrokerCluster(t *testing.T) {
	addresses := natsCluster(t)
	node := func(dir, name string) *testMember {
		b, _ := testBroker(t, BrokerOptions{URLs: addresses, Replicas: 3})
		ensured(t, b)
		o := memberOptions{Dir: dir, Node: name, Fingerprint: secretHex, Log: slog.New(slog.DiscardHandler), every: time.Hour, keep: time.Hour, Changed: func(error) {}}
		m, err := openMembership(b, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.close(context.Background()) })
		return &testMember{membership: m}
	}
	dir := t.TempDir()
	a, b, again := node(dir, "a"), node(t.TempDir(), "b"), node(dir, "a")
	for _, m := range []*testMember{a, b} {
		if err := m.joins(t); err != nil {
			t.Fatal(err)
		}
	}
	publishEvents(t, a.b, 20)
	if n := storedEvents(t, b.b); n != 20 {
		t.Errorf("%d messages", n)
	}
	if err := node(t.TempDir(), "a").joins(t); !errors.Is(err, ErrName) {
		t.Error(err)
	}
	if err := again.joins(t); err != nil {
		t.Error(err)
	}
	soon(t, "the earlier process knows that its name is taken", func() bool {
		a.refresh(t.Context())
		return errors.Is(a.reason(), ErrName)
	})
	before := again.revision
	soon(t, "a refresh", func() bool {
		again.refresh(t.Context())
		return again.revision > before
	})
	if again.reason() != nil {
		t.Error(again.reason())
	}
}
