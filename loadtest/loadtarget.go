package loadtest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// ErrRemote: a load test's target is not on this machine, and was not said to be.
var ErrRemote = errors.New("the target is not on this machine")

// target is where to connect to: what was checked is what is dialled.
type target struct {
	network string // tcp or unix
	address string // an IP address and port, or a path
	host    string // of the Host header
	name    string // in its certificate
	secure  bool   // over TLS
	remote  bool
}

// resolveTarget finds the address of a target: host:port, http://host:port,
// https://host:port or unix:/path. Unless yesRemote, each address that the name stands for must be of this
// machine: a load test of a node that others use is an attack on it.
func resolveTarget(ctx context.Context, flag, addr string, yesRemote bool) (target, error) {
	t := target{network: "tcp", host: "localhost"}
	if path, unix := strings.CutPrefix(addr, "unix:"); unix {
		if t.network, t.address = "unix", path; path == "" {
			return t, fmt.Errorf("%w: %s=%q: want unix:/path", ErrOptions, flag, addr)
		}
		return t, nil
	}
	rest, secure := strings.CutPrefix(addr, secureScheme)
	if t.secure = secure; !secure {
		rest = strings.TrimPrefix(addr, "http://")
	}
	host, port, err := net.SplitHostPort(strings.TrimSuffix(rest, "/"))
	number, portErr := strconv.ParseUint(port, 10, 16)
	if err != nil || portErr != nil || number == 0 {
		return t, fmt.Errorf("%w: %s=%q: want host:port, https://host:port or unix:/path", ErrOptions, flag, addr)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return t, fmt.Errorf("find %s=%q: %w: %w", flag, addr, ErrUnreachable, err)
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return t, fmt.Errorf("list this machine's addresses: %w", err)
	}
	for _, ip := range addrs {
		if isHere(ip, own) {
			continue
		}
		if t.remote = true; !yesRemote {
			return t, fmt.Errorf("%w: %s=%q is %s; a load test takes a node's whole capacity from whoever uses it. If it is yours and nobody does, say --yes-remote", ErrRemote, flag, addr, ip)
		}
	}
	t.address = netip.AddrPortFrom(addrs[0].Unmap(), uint16(number)).String()
	t.host, t.name = net.JoinHostPort(host, port), host
	return t, nil
}

// isHere says whether an address is of this machine.
func isHere(ip netip.Addr, own []net.Addr) bool {
	ip = ip.Unmap()
	if ip.IsLoopback() || ip.IsUnspecified() {
		return true
	}
	for _, a := range own {
		if n, ok := a.(*net.IPNet); ok {
			if here, ok := netip.AddrFromSlice(n.IP); ok && here.Unmap() == ip.WithZone("") {
				return true
			}
		}
	}
	return false
}

// config is how to speak TLS to the target; nil: not at all.
func (t *target) config(given *tls.Config) *tls.Config {
	if !t.secure {
		return nil
	}
	return securedFor(t.name, given)
}

// dialled is the target as this package's clients take it.
func (t *target) dialled() string {
	if t.network == "unix" {
		return "unix:" + t.address
	}
	return t.address
}
