package main

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// value reads and writes one value of the configuration. Set leaves it alone
// when it returns an error, which names the value and the mend.
type value interface {
	Set(string) error
	String() string
}

// Bytes is a size. It prints in the largest unit that holds it whole.
type Bytes int64

const (
	kib Bytes = 1 << (10 * (iota + 1))
	mib
	gib
	tib
)

// sizeUnits are longest first, so that B is tried last.
var sizeUnits = []struct {
	name string
	size Bytes
}{
	{"TiB", tib},
	{"GiB", gib},
	{"MiB", mib},
	{"KiB", kib},
	{"TB", 1e12},
	{"GB", 1e9},
	{"MB", 1e6},
	{"kB", 1e3},
	{"B", 1},
}

// String is the size as the configuration has it, such as 2GiB.
func (b Bytes) String() string {
	for _, u := range sizeUnits[:4] {
		if b != 0 && b%u.size == 0 {
			return strconv.FormatInt(int64(b/u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10) + "B"
}

func parseBytes(s string) (Bytes, error) {
	number, unit := s, Bytes(1)
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(s, u.name); ok {
			number, unit = rest, u.size
			break
		}
	}
	n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/int64(unit) {
		return 0, fmt.Errorf("%q is not a size: write a whole number and a unit, such as 512MiB or 2GiB", s)
	}
	return Bytes(n) * unit, nil
}

// sized is a size with a least value.
type sized struct {
	v     *Bytes
	least Bytes
}

func (v *sized) String() string { return v.v.String() }

func (v *sized) Set(s string) error {
	b, err := parseBytes(s)
	if err != nil {
		return err
	}
	if b < v.least {
		return fmt.Errorf("%q is too small: the least is %s", s, v.least)
	}
	*v.v = b
	return nil
}

// span is a duration within bounds.
type span struct {
	v           *time.Duration
	least, most time.Duration // most 0: none
}

func (v *span) String() string { return shortDuration(*v.v) }

func (v *span) Set(s string) error {
	d, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("%q is not a duration: write a number and a unit, such as 30s, 5m or 1h", s)
	}
	if d < v.least {
		return fmt.Errorf("%q is too short: the least is %s", s, shortDuration(v.least))
	}
	if v.most != 0 && d > v.most {
		return fmt.Errorf("%q is too long: the most is %s", s, shortDuration(v.most))
	}
	*v.v = d
	return nil
}

// shortDuration is 1h for an hour, where package time has 1h0m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// text is any text, also none.
type text string

func (v *text) String() string     { return string(*v) }
func (v *text) Set(s string) error { *v = text(s); return nil }

// word is a text that cannot be empty.
type word string

func (v *word) String() string { return string(*v) }

func (v *word) Set(s string) error {
	if strings.TrimSpace(s) == "" {
		return fmt.Errorf("%q is empty: leave the key out for its default", s)
	}
	*v = word(s)
	return nil
}

// choice is one of a few words.
type choice struct {
	v    *string
	from []string
}

func (v *choice) String() string { return *v.v }

func (v *choice) Set(s string) error {
	if !slices.Contains(v.from, s) {
		return fmt.Errorf("%q is none of %s", s, strings.Join(v.from, ", "))
	}
	*v.v = s
	return nil
}

// count is a whole number within bounds.
type count struct {
	v           *int
	least, most int
}

func (v *count) String() string { return strconv.Itoa(*v.v) }

func (v *count) Set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < v.least || n > v.most {
		return fmt.Errorf("%q is not a whole number from %d to %d", s, v.least, v.most)
	}
	*v.v = n
	return nil
}

// share is a part of a whole, 0 to 1.
type share float64

func (v *share) String() string { return strconv.FormatFloat(float64(*v), 'g', -1, 64) }

func (v *share) Set(s string) error {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !(f >= 0 && f <= 1) { // also refuses NaN
		return fmt.Errorf("%q is not a share: write a number from 0 to 1, such as 0.01 for one in a hundred", s)
	}
	*v = share(f)
	return nil
}

// address is what a listener binds: host:port or unix:/path.
type address string

func (v *address) String() string { return string(*v) }

func (v *address) Set(s string) error {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		if !strings.HasPrefix(path, "/") {
			return fmt.Errorf("%q names no socket: write unix: and an absolute path, such as unix:/run/restraint.sock", s)
		}
		*v = address(s)
		return nil
	}
	_, port, err := net.SplitHostPort(s)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("%q is not an address: write host:port, such as 127.0.0.1:8080, or unix:/path", s)
	}
	*v = address(s)
	return nil
}

// isLocal says whether only this machine can reach the address.
func isLocal(addr string) bool {
	if strings.HasPrefix(addr, "unix:") {
		return true
	}
	host, _, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

// urls are addresses of NATS servers, separated by commas. They print without
// passwords.
type urls []string

func (v *urls) String() string {
	out := make([]string, len(*v))
	for i, s := range *v {
		out[i] = redacted(s)
	}
	return strings.Join(out, ",")
}

func (v *urls) Set(s string) error {
	if strings.TrimSpace(s) == "" {
		*v = nil
		return nil
	}
	return v.setAll(strings.Split(s, ","))
}

// setAll is Set for a list that is one already, as YAML has it.
func (v *urls) setAll(list []string) error {
	out := make([]string, 0, len(list))
	var errs []error
	for _, s := range list {
		s = strings.TrimSpace(s)
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) {
			errs = append(errs, fmt.Errorf("%q is not the address of a NATS server: write nats://host:4222 or tls://host:4222", redacted(s)))
			continue
		}
		out = append(out, s)
	}
	if errs != nil {
		return errors.Join(errs...)
	}
	*v = out
	return nil
}

// redacted hides what stands before the last @, which can be a password also
// where s is no URL at all.
func redacted(s string) string {
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return s
	}
	scheme, _, ok := strings.Cut(s[:at], "://")
	if !ok {
		return "***" + s[at:]
	}
	return scheme + "://***" + s[at:]
}
