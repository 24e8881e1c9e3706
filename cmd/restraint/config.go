package main

import (
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Config is the whole configuration of a node, as restraint.yaml, environment
// and flags give it. Every value has been checked.
type Config struct {
	Node   string // name of this node, unique in its cluster
	Listen string // bid listener: host:port, or unix:/path
	Admin  struct {
		Listen string // admin listener: host:port, or unix:/path
	}
	Data       string // folder of everything the node keeps
	Policy     string // file of the first policy; see Given
	SecretFile string
	Encrypt    struct{ KeyFile string } // "": what is kept is not encrypted
	NATS       struct {
		URLs            []string // none: embedded, in process, under Data
		CredentialsFile string
		TLS             struct{ CA, Cert, Key string } // files; "" for none
		Replicas        int
		SyncInterval    time.Duration // of the servers; the embedded one is given it
		MaxAge          time.Duration // of events in the stream, when it is made
	}
	Caps  struct{ Memory Bytes }
	Lists struct {
		MaxRejected float64 // share of a replacement's rows, 0 to 1
		MaxShrink   float64 // share of a list's members, 0 to 1
	}
	Snapshot struct{ Every time.Duration }
	Ready    struct {
		MaxStale  time.Duration
		AcceptGap string // names of gaps, with commas between them
	}
	Drain  struct{ Wait time.Duration }
	Limits struct {
		Upload      Bytes
		UploadTime  time.Duration
		Connections int
		Wait        time.Duration // 0: for ever
	}
	TLS      struct{ Cert, Key, ClientCA string } // files; "" for none
	KeysFile string                               // "": no keys, loopback only
	Log      struct{ Level string }               // debug, info, warn, error

	// RequestClock takes "now" from the requests: serve --clock=request.
	RequestClock bool

	// Strays are variables of the environment that look like a setting's and are none's.
	Strays  []string
	origins map[string]origin
}

// origin says where a value came from.
type origin struct {
	source string // default, file, environment, flag
	where  string // restraint.yaml:7, RESTRAINT_LISTEN, --listen; "" for default
}

// Given says whether somebody set the key, or it has its default.
func (c *Config) Given(key string) bool { return c.origins[key].where != "" }

// defaultConfig has every default.
func defaultConfig() Config {
	var c Config
	c.Node, _ = os.Hostname() // "" is reported by check
	c.Listen = "127.0.0.1:8080"
	c.Admin.Listen = "127.0.0.1:8081"
	c.Data = "./data"
	c.Policy = "./policy.yaml"
	c.SecretFile = "" // secret under Data: see settle
	c.NATS.Replicas = 1
	c.NATS.SyncInterval = 10 * time.Second
	c.NATS.MaxAge = 72 * time.Hour
	c.Caps.Memory = 2 * gib
	c.Lists.MaxRejected = 0.01
	c.Lists.MaxShrink = 0.5
	c.Snapshot.Every = 30 * time.Second
	c.Ready.MaxStale = time.Hour
	c.Drain.Wait = 2 * time.Second
	c.Limits.Upload = 20 * gib
	c.Limits.UploadTime = 6 * time.Hour
	c.Limits.Connections = 10_000
	c.Limits.Wait = 50 * time.Millisecond
	c.Log.Level = "info"
	c.origins = map[string]origin{}
	return c
}

// configKey is one key: where it is in Config, how it is read, what it is for.
type configKey struct {
	name  string // nats.urls
	value value
	help  string
}

// flag is the key as a flag, without its dashes: nats-urls.
func (k configKey) flag() string { return strings.NewReplacer(".", "-", "_", "-").Replace(k.name) }

// env is the key as an environment variable: RESTRAINT_NATS_URLS.
func (k configKey) env() string {
	return "RESTRAINT_" + strings.ToUpper(strings.ReplaceAll(k.name, ".", "_"))
}

// keys is the table of all keys, in the order of the file. Flags, environment
// and file are read by it, and --print-config prints it.
func (c *Config) keys() []configKey {
	return []configKey{
		{"node", (*word)(&c.Node), "Name of this node; the host name where not given."},
		{"listen", (*address)(&c.Listen), "Bid listener: host:port or unix:/path."},
		{"admin.listen", (*address)(&c.Admin.Listen), "Admin listener: host:port or unix:/path."},
		{"data", (*word)(&c.Data), "Folder of everything the node keeps."},
		{"policy", (*word)(&c.Policy), "File of the first policy, when the cluster has none yet."},
		{"secret_file", (*word)(&c.SecretFile), "File of the identifier secret, which all nodes share; made on first start. Not given: secret, under data."},
		{"encrypt.key_file", (*text)(&c.Encrypt.KeyFile), "File of the key that what is kept under data is encrypted with: 32 random bytes, not under data; none: it is not encrypted. To change it put the new one in front of it."},
		{"nats.urls", (*urls)(&c.NATS.URLs), "Addresses of the NATS cluster; none: embedded."},
		{"nats.credentials_file", (*text)(&c.NATS.CredentialsFile), "Credentials for NATS."},
		{"nats.tls.ca", (*text)(&c.NATS.TLS.CA), "Certificate authority of the NATS servers."},
		{"nats.tls.cert", (*text)(&c.NATS.TLS.Cert), "This node's certificate for NATS."},
		{"nats.tls.key", (*text)(&c.NATS.TLS.Key), "Key of this node's certificate for NATS."},
		{"nats.replicas", &count{&c.NATS.Replicas, 1, 5}, "Copies that NATS keeps, 1 to 5."},
		{"nats.sync_interval", &span{&c.NATS.SyncInterval, 100 * time.Millisecond, 10 * time.Minute}, "Time between two syncs of the NATS servers' files, as their configuration has it; the embedded one is given it. Longer makes the outbox longer, since it keeps a change for twice this and 10s; shorter keeps the disk busy."},
		{"nats.max_age", &span{&c.NATS.MaxAge, 12 * time.Second, 0}, "How long NATS keeps an event; counts when its stream is made. At least 12 times snapshot.every. A node that was away for longer takes a copy of another node's snapshot."},
		{"caps.memory", &sized{&c.Caps.Memory, mib}, "Memory for exposures, such as 2GiB; at least 1MiB."},
		{"lists.max_rejected", (*share)(&c.Lists.MaxRejected), "Share of rejected rows from which a replacement is refused, 0 to 1."},
		{"lists.max_shrink", (*share)(&c.Lists.MaxShrink), "Share of lost members from which a replacement is refused, 0 to 1."},
		{"snapshot.every", &span{&c.Snapshot.Every, time.Second, 0}, "Time between two snapshots; at least 1s."},
		{"ready.max_stale", &span{&c.Ready.MaxStale, time.Second, 0}, "Age up to which a snapshot makes a node ready without NATS; at least 1s."},
		{"ready.accept_gap", (*text)(&c.Ready.AcceptGap), "Names of gaps, as /readyz gives them, with commas between them, that the node goes on without for good: no node has what is missing."},
		{"drain.wait", &span{&c.Drain.Wait, 0, 10 * time.Minute}, "How long a node that is told to end (SIGTERM) goes on answering, not ready, so that callers see it and go elsewhere. A second signal ends it at once."},
		{"limits.upload", &sized{&c.Limits.Upload, 1}, "Longest upload of a list, such as 20GiB."},
		{"limits.upload_time", &span{&c.Limits.UploadTime, time.Second, 0}, "Time that the bytes of one upload of a list may take; at least 1s."},
		{"limits.connections", &count{&c.Limits.Connections, 1, 1_000_000}, "Connections of each listener at once. Who has one keeps it; those who come when all are taken are told 503."},
		{"limits.wait", &span{&c.Limits.Wait, 0, 10 * time.Minute}, "How long requests may wait for a processor. While they wait for longer the bid listener refuses a part of them (503), reports excepted, so that the others are answered in time; 0: none."},
		{"tls.cert", (*text)(&c.TLS.Cert), "Certificate of both listeners."},
		{"tls.key", (*text)(&c.TLS.Key), "Key of that certificate."},
		{"tls.client_ca", (*text)(&c.TLS.ClientCA), "Authority that callers' certificates must come from."},
		{"keys_file", (*text)(&c.KeysFile), "File of access keys; none: loopback only, with every role."},
		{"log.level", &choice{&c.Log.Level, []string{"debug", "info", "warn", "error"}}, "debug, info, warn or error."},
	}
}

// settle fills in the defaults that follow from other keys.
func (c *Config) settle() {
	if !c.Given("secret_file") {
		c.SecretFile = "./" + filepath.Join(c.Data, "secret")
		if filepath.IsAbs(c.Data) {
			c.SecretFile = filepath.Join(c.Data, "secret")
		}
	}
}
