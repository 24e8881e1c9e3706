package deploy

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// running is the program, and what it has logged.
type running struct {
	cmd   *exec.Cmd
	ended chan error // gets one value, and is closed

	mu  sync.Mutex
	log bytes.Buffer
}

// Write implements io.Writer.
func (r *running) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(b)
}

func (r *running) logged() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

// start runs the program until the test ends; what it said is shown where the test failed.
func start(t testing.TB, dir string, env []string, args ...string) *running {
	t.Helper()
	r := &running{cmd: exec.Command(program, args...), ended: make(chan error, 1)}
	r.cmd.Dir, r.cmd.Env, r.cmd.Stderr = dir, append([]string{"PATH=" + os.Getenv("PATH")}, env...), r
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		r.ended <- r.cmd.Wait()
		close(r.ended)
	}()
	t.Cleanup(func() {
		_ = r.cmd.Process.Kill()
		for range r.ended { // it writes nothing from here on
		}
		if t.Failed() {
			t.Logf("%s %s\n%s", args[0], strings.Join(env, " "), r.logged())
		}
	})
	return r
}

// stop ends the program as a service manager does, and wants a clean end.
func (r *running) stop(t testing.TB) {
	t.Helper()
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-r.ended:
		if err != nil {
			t.Errorf("after SIGTERM: %v", err)
		}
	case <-time.After(time.Minute):
		t.Error("it does not end after SIGTERM")
	}
}

// freeAddrs are addresses of this machine that nobody listens on.
func freeAddrs(t testing.TB, n int) (addrs []string) {
	t.Helper()
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // all at once, so that they differ
		addrs = append(addrs, l.Addr().String())
	}
	return addrs
}

// issue makes a certificate with the script of this folder.
func issue(t testing.TB, dir, name string, sans ...string) {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("there is no openssl, which certificates.sh needs")
	}
	said, err := exec.Command("sh", append([]string{"certificates.sh", dir, name}, sans...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
}

// secured asks over TLS as the holder of a certificate of dir.
func secured(t testing.TB, dir, name string) *tls.Config {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, name+".pem"), filepath.Join(dir, name+"-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	authorities := x509.NewCertPool()
	authorities.AppendCertsFromPEM([]byte(read(t, filepath.Join(dir, "ca.pem"))))
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: authorities, ServerName: "127.0.0.1"}
}

// caller asks a node.
type caller struct {
	http.Client
	key string
}

// do returns the status, 0 where there is no answer, and the body.
func (c *caller) do(method, url, kind, body string) (int, string) {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(answer)
}
