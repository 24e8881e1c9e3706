package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"
)

// nodeFlags are the flags of every command that talks to a node.
type nodeFlags struct {
	Addr string `help:"Admin listener of the node: host:port, URL or unix:/path (default 127.0.0.1:8081)." default:"127.0.0.1:8081" placeholder:"ADDR"`
	tlsFlags
	Key string `help:"Access key; better in RESTRAINT_KEY, where other users of this machine cannot see it." placeholder:"KEY"`
}

// tlsFlags are how a command speaks TLS.
type tlsFlags struct {
	CA      string `help:"PEM file of the authorities of a node that has TLS; not given: those of this machine." placeholder:"FILE"`
	Cert    string `help:"PEM file of the certificate to show a node that asks for one." placeholder:"FILE"`
	CertKey string `help:"PEM file of the key of --cert." placeholder:"FILE"`
}

// secured is an address without a scheme as one over TLS, where the flags say so.
func (f *tlsFlags) secured(addr string) string {
	if addr == "" || strings.HasPrefix(addr, "unix:") || strings.Contains(addr, "://") || f.CA == "" && f.Cert == "" {
		return addr
	}
	return "https://" + addr
}

// whyFlag is the flag of every command that changes something on record.
type whyFlag struct {
	Why string `help:"Why, for the audit record: at most 500 bytes on one line; name no person." placeholder:"TEXT"`
}

// client talks to one node. Identifiers of people go into bodies only, never
// into a URL, where logs would keep them.
type client struct {
	http *http.Client
	base string // http://127.0.0.1:8081
	addr string // as given, for messages
	key  string
}

const (
	dialTimeout   = 5 * time.Second
	answerTimeout = 30 * time.Second // for one answer, all in
	buildTimeout  = time.Hour        // from the last byte of an upload to the answer: the node builds the list
	maxAnswer     = 64 << 20         // bytes
	waitAbove     = 64 << 10         // bytes from which a body waits for the node to want it
)

// open returns a client of the node that the flags name.
func (f *nodeFlags) open(p *process) (*client, error) {
	c := &client{addr: f.Addr, key: f.Key}
	if c.key == "" {
		c.key, _ = p.lookup("RESTRAINT_KEY")
	}
	dialer := &net.Dialer{Timeout: dialTimeout}
	transport := &http.Transport{
		Proxy:                 nil, // an admin listener is reached directly or not at all
		DialContext:           dialer.DialContext,
		TLSHandshakeTimeout:   dialTimeout,
		ResponseHeaderTimeout: buildTimeout,
		ExpectContinueTimeout: time.Second,
		DisableCompression:    true,
		DisableKeepAlives:     true, // one command, one or two requests
	}
	switch {
	case strings.HasPrefix(f.Addr, "unix:/"):
		path := strings.TrimPrefix(f.Addr, "unix:")
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", path)
		}
		c.base = "http://node"
	case strings.Contains(f.Addr, "://"):
		u, err := url.Parse(f.Addr)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || strings.Trim(u.Path, "/") != "" || u.User != nil || u.RawQuery != "" {
			return nil, wrongUse("--addr %q is not the address of a node: write http://host:port or https://host:port", f.Addr)
		}
		c.base = u.Scheme + "://" + u.Host
	default:
		host, port, err := net.SplitHostPort(f.Addr)
		if _, portErr := strconv.ParseUint(port, 10, 16); err != nil || portErr != nil || strings.ContainsAny(host, "/?#@:") && net.ParseIP(host) == nil {
			return nil, wrongUse("--addr %q is not the address of a node: write host:port, a URL, or unix:/path", f.Addr)
		}
		c.base = "http://" + f.Addr
		if f.CA != "" || f.Cert != "" {
			c.base = "https://" + f.Addr
		}
	}
	var err error
	if transport.TLSClientConfig, err = f.tls(); err != nil {
		return nil, err
	}
	c.http = &http.Client{
		Transport: transport,
		// A redirect would carry the key, and people's identifiers, to another place.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// tls is what the files say; nil where none is given.
func (f *tlsFlags) tls() (*tls.Config, error) {
	if f.CA == "" && f.Cert == "" && f.CertKey == "" {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.CA != "" {
		pem, err := os.ReadFile(f.CA)
		config.RootCAs = x509.NewCertPool()
		if err == nil && !config.RootCAs.AppendCertsFromPEM(pem) {
			err = errors.New("there is no certificate in it")
		}
		if err != nil {
			return nil, wrongUse("--ca %q: %w: give a PEM file of the authorities of the node's certificate", f.CA, err)
		}
	}
	if f.Cert != "" || f.CertKey != "" {
		pair, err := tls.LoadX509KeyPair(f.Cert, f.CertKey)
		if err != nil {
			return nil, wrongUse("--cert %q, --cert-key %q: %w: give a certificate and its key as PEM files", f.Cert, f.CertKey, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// request is one request to a node.
type request struct {
	method, path string
	query        url.Values
	body         io.Reader
	bodyBytes    int64 // 0: not known
	contentType  string
	encoding     string // Content-Encoding, or ""
	why          string // for the audit record, or ""
}

// do sends r within answerTimeout and returns the answer's body. An answer
// other than 2xx is an error: what the node says, for people.
func (c *client) do(ctx context.Context, r request) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	return c.stream(ctx, r)
}

// stream is do without a limit on the time that the body takes.
func (c *client) stream(ctx context.Context, r request) ([]byte, error) {
	resp, err := c.send(ctx, r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	return c.body(resp)
}

// body reads the whole body of an answer.
func (c *client) body(resp *http.Response) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("read the node's answer: %w", err)
	}
	if len(body) > maxAnswer {
		return nil, fmt.Errorf("the answer of %s is over %d MiB: is this a node?", c.addr, maxAnswer>>20)
	}
	return body, nil
}

// send sends r and returns the answer, whose body the caller reads and closes. An answer other than 2xx is an error.
func (c *client) send(ctx context.Context, r request) (*http.Response, error) {
	target := c.base + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, r.body)
	if err != nil {
		return nil, wrongUse("make request: %w", err)
	}
	if r.bodyBytes > 0 {
		req.ContentLength = r.bodyBytes
	}
	if r.body != nil {
		req.Header.Set("Content-Type", r.contentType)
		if r.bodyBytes == 0 || r.bodyBytes > waitAbove {
			req.Header.Set("Expect", "100-continue")
		}
	}
	if r.encoding != "" {
		req.Header.Set("Content-Encoding", r.encoding)
	}
	if r.why != "" {
		if strings.ContainsFunc(r.why, unicode.IsControl) {
			return nil, wrongUse("--why %q: write it on one line", r.why)
		}
		req.Header.Set("Restraint-Why", r.why)
	}
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	req.Header.Set("User-Agent", "restraint")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	if resp.StatusCode >= 200 && resp.StatusCode <= 299 {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := c.body(resp)
	if err != nil {
		return nil, err
	}
	return nil, refusal(resp, body)
}

// unreachable says what a failed connection means and what to do about it.
func (c *client) unreachable(err error) error {
	if u := (*url.Error)(nil); errors.As(err, &u) {
		err = u.Err // without the URL, which says nothing new
	}
	var alert *net.OpError
	switch {
	case errors.As(err, new(*tls.CertificateVerificationError)):
		return fmt.Errorf("the node at %s cannot be believed: %w: give --ca with the authority of its certificate, and the name in it as --addr", c.addr, err)
	case errors.As(err, &alert) && alert.Op == "remote error":
		return fmt.Errorf("the node at %s refuses the connection: %w: it may ask for a certificate of an authority that it knows (--cert, --cert-key)", c.addr, err)
	case errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Errorf("the node at %s has no TLS: write http:// in --addr, and leave --ca and --cert out: %w", c.addr, err)
	case errors.Is(err, context.Canceled):
		return errors.New("interrupted")
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("the node at %s does not answer within %v", c.addr, answerTimeout)
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOENT):
		return fmt.Errorf("no node listens on %s: start one with restraint serve, or give --addr: %w", c.addr, err)
	case errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return fmt.Errorf("the node at %s closed the connection before it answered; its log says why: %w", c.addr, err)
	}
	return fmt.Errorf("talk to the node at %s: %w", c.addr, err)
}
