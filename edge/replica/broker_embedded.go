package replica

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// embedded is a NATS server in this process. It opens no socket: it is reached through InProcessConn only.
type embedded struct {
	dir      string
	maxStore int64
	key      string // of the store; "": none
	sync     time.Duration
	log      *slog.Logger
	lock     *os.File // the server itself does not lock its store

	mu     sync.Mutex // held while the server starts or stops
	server atomic.Pointer[server.Server]
}

func openEmbedded(o *BrokerOptions) (*embedded, error) {
	dir := o.Dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make directory: %w", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	e := &embedded{dir: dir, maxStore: o.MaxStore, key: o.StoreKey, sync: o.SyncInterval, log: o.Log, lock: lock}
	if err := e.start(); err != nil {
		lock.Close()
		return nil, err
	}
	return e, nil
}

// start starts the server; what it kept is there when it returns. After kill -9 that takes 0.5 to 1.5 s for each GB (measured).
func (e *embedded) start() error {
	cipher := server.NoCipher
	if e.key != "" {
		cipher = server.AES
		if err := readyToEncrypt(e.dir); err != nil {
			return fmt.Errorf("encrypt the store of the embedded NATS server in %q: %w", e.dir, err)
		}
	}
	s, err := startServer(&server.Options{
		ServerName:         "embedded",
		DontListen:         true,
		NoSigs:             true,
		NoLog:              true, // of its own kind
		JetStream:          true,
		StoreDir:           e.dir,
		JetStreamMaxMemory: 64 << 20,
		JetStreamMaxStore:  e.maxStore,
		JetStreamKey:       e.key,
		JetStreamCipher:    cipher,
		SyncInterval:       e.sync,
		MaxPayload:         1 << 20,
	}, &serverLog{log: e.log, notices: slog.LevelDebug})
	if err != nil {
		return fmt.Errorf("start the embedded NATS server in %q: %w", e.dir, err)
	}
	e.server.Store(s)
	return nil
}

// readyToEncrypt removes from streams that the server is going to encrypt what it would stumble over (2.15.2): its index, which it can make
// anew and leaves as it is until it ends in order, and blocks without a message, for which it gives up the stream.
func readyToEncrypt(dir string) error {
	streams, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", "*"))
	if err != nil {
		return err
	}
	for _, stream := range streams {
		if _, err := os.Stat(filepath.Join(stream, "meta.key")); !errors.Is(err, fs.ErrNotExist) {
			continue // it is encrypted
		}
		files, err := os.ReadDir(filepath.Join(stream, "msgs"))
		if err != nil {
			return err
		}
		for _, f := range files {
			info, err := f.Info()
			if err == nil && (f.Name() == "index.db" || info.Size() == 0) {
				err = os.Remove(filepath.Join(stream, "msgs", f.Name()))
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *embedded) stop() {
	if s := e.server.Swap(nil); s != nil {
		s.Shutdown()
		s.WaitForShutdown()
	}
}

func (e *embedded) restart() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stop()
	return e.start()
}

func (e *embedded) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stop()
	e.lock.Close()
}

var errServerDown = errors.New("the embedded server is being restarted")

// InProcessConn is how the client library reaches the server, whichever runs at the time.
func (e *embedded) InProcessConn() (net.Conn, error) {
	if s := e.server.Load(); s != nil {
		return s.InProcessConn()
	}
	return nil, errServerDown
}

// startServer starts a server with JetStream and returns when it takes connections.
func startServer(o *server.Options, log *serverLog) (*server.Server, error) {
	s, err := server.NewServer(o)
	if err != nil {
		return nil, err
	}
	s.SetLoggerV2(log, o.Debug, o.Trace, false)
	s.Start() // reads what is stored, and reports its faults to the log only
	// Chosen: all that takes long is done by now.
	for deadline := time.Now().Add(20 * time.Second); log.fatal.Load() == nil; {
		if s.ReadyForConnections(100 * time.Millisecond) {
			return s, nil
		}
		if time.Now().After(deadline) {
			log.Fatalf("it takes no connections")
		}
	}
	s.Shutdown()
	s.WaitForShutdown()
	return nil, errors.New(*log.fatal.Load())
}

// serverLog passes on what a server logs.
type serverLog struct {
	log     *slog.Logger
	notices slog.Level             // of what the server calls a notice
	fatal   atomic.Pointer[string] // the first of them
}

func (l *serverLog) to(level slog.Level, format string, args []any) {
	if ctx := context.Background(); l.log.Enabled(ctx, level) {
		l.log.Log(ctx, level, "NATS server: "+fmt.Sprintf(format, args...))
	}
}

// Noticef and the others are what the server calls.
func (l *serverLog) Noticef(format string, args ...any) { l.to(l.notices, format, args) }

// Warnf is about what the server can live with.
func (l *serverLog) Warnf(format string, args ...any) { l.to(slog.LevelWarn, format, args) }

// Errorf is about what failed.
func (l *serverLog) Errorf(format string, args ...any) { l.to(slog.LevelError, format, args) }

// Debugf is for those who look for a fault in the server.
func (l *serverLog) Debugf(format string, args ...any) { l.to(slog.LevelDebug, format, args) }

// Tracef is every message.
func (l *serverLog) Tracef(format string, args ...any) { l.to(slog.LevelDebug, format, args) }

// Fatalf is called where the server gives up starting. It does not end the process.
func (l *serverLog) Fatalf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	l.fatal.CompareAndSwap(nil, &text)
	l.to(slog.LevelError, format, args)
}
