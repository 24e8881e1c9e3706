package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

const (
	sectionRedis = "Beside Redis"
	redisGrace   = 2 * time.Second
)

// cappedScript is the Lua form: which of the candidates, by their place, have reached
// the limit.
const cappedScript = `local counts = redis.call('HMGET', KEYS[1], unpack(ARGV, 2))
local limit, capped = tonumber(ARGV[1]), {}
for i, count in ipairs(counts) do
  if count and tonumber(count) >= limit then capped[#capped + 1] = i end
end
return capped`

// redisServer is a Redis in a process of its own, without persistence.
type redisServer struct {
	*process
	addr string
	loop *loop // one connection, for what is not measured
}

// startRedis starts redis-server on a free port; one that was taken meanwhile is tried
// again with another.
func (b *bench) startRedis(ctx context.Context, path string) (*redisServer, error) {
	var last error
	for range 5 {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		p, err := start("redis-server", b.dir, path, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
			"--daemonize", "no", "--protected-mode", "yes", "--maxclients", "1000", "--logfile", "")
		if err != nil {
			return nil, err
		}
		wait, cancel := context.WithTimeout(ctx, 10*time.Second)
		_, last = p.says(wait, "eady to accept connections")
		cancel()
		if last == nil {
			r := &redisServer{process: p, addr: "127.0.0.1:" + port}
			if r.loop, last = openLoop(ctx, &target{addr: r.addr, read: readRESP}, 1); last == nil {
				return r, nil
			}
		}
		p.stop(redisGrace)
	}
	return nil, last
}

func (r *redisServer) stop() {
	r.loop.close()
	r.process.stop(redisGrace)
}

// do sends one command and returns its answer as it came.
func (r *redisServer) do(args ...string) (string, error) {
	answer, err := r.loop.wires[0].ask(command(args...), readRESP)
	return string(answer), err
}

// info is a number of INFO, or a text of it.
func (r *redisServer) info(section, name string) (string, error) {
	answer, err := r.do("INFO", section)
	if err != nil {
		return "", err
	}
	_, rest, ok := strings.Cut(answer, "\n"+name+":")
	value, _, _ := strings.Cut(rest, "\r")
	if !ok || value == "" {
		return "", fmt.Errorf("%w: INFO %s of Redis has no %s", errAnswer, section, name)
	}
	return value, nil
}

func (r *redisServer) usedMemory() (int64, error) {
	value, err := r.info("memory", "used_memory")
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(value, 10, 64)
}

// naming is how a user's hash names what it counts.
type naming struct {
	name, prefix string
	campaign     func(int) string
	advertiser   func(int) string
}

// namings: the same names that the node is asked with; and numbers, which whoever asks
// Redis must have put in their place: less than this it cannot be.
func namings() []naming {
	return []naming{
		{"names", "user:", campaignName, func(a int) string { return "a" + strconv.Itoa(a) }},
		{"numbers", "n:", strconv.Itoa, func(a int) string { return strconv.Itoa(-1 - a) }},
	}
}

func (n *naming) key(user int) string { return n.prefix + strconv.Itoa(user) }

// fill gives each user a hash with the same counters that the node has of it, a field
// for each campaign and for each advertiser, small enough for Redis's compact form, and
// returns what a counter takes.
func (r *redisServer) fill(ctx context.Context, n *naming, users int) (bytesPerCounter float64, err error) {
	before, err := r.usedMemory()
	if err != nil {
		return 0, err
	}
	const pipelined = 100
	for u := 0; u < users; u += pipelined {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		var commands []byte
		last := min(u+pipelined, users)
		for v := u; v < last; v++ {
			args := []string{"HSET", n.key(v)}
			for _, campaign := range history(v) {
				args = append(args, n.campaign(campaign), "1", n.advertiser(advertiserOf(campaign)), "1")
			}
			commands = append(commands, command(args...)...)
		}
		_, err := r.loop.wires[0].ask(commands, func(w *wire) (int, error) {
			want := fmt.Sprintf(":%d\r\n", userCounters)
			for range last - u {
				n, err := readRESP(w)
				if err != nil {
					return 0, err
				}
				if answer := w.buffer[w.from-n : w.from]; string(answer) != want {
					return 0, fmt.Errorf("%w: HSET answers %q, want %q", errAnswer, answer, want)
				}
			}
			return 0, nil
		})
		if err != nil {
			return 0, fmt.Errorf("fill Redis: %w", err)
		}
	}
	after, err := r.usedMemory()
	if err != nil {
		return 0, err
	}
	if encoding, err := r.do("OBJECT", "ENCODING", n.key(0)); err != nil || !strings.Contains(encoding, "listpack") && !strings.Contains(encoding, "ziplist") {
		return 0, fmt.Errorf("fill Redis: %w: a user's hash is stored as %q, want its compact form (%v)", errAnswer, encoding, err)
	}
	return float64(after-before) / float64(users*userCounters), nil
}

// redisRequests asks for the same candidates of the same users as decideRequests does.
// With script they go to that script with a limit of 1, else to HMGET.
func (s shape) redisRequests(n *naming, users, count int, script string) [][]byte {
	requests := make([][]byte, count)
	for i, asked := range s.asks(users, count) {
		args := []string{"HMGET", n.key(asked.user)}
		if script != "" {
			args = []string{"EVALSHA", script, "1", n.key(asked.user), "1"}
		}
		for _, campaign := range asked.campaigns {
			args = append(args, n.campaign(campaign))
		}
		requests[i] = command(args...)
	}
	return requests
}

// measureRedis measures 50 candidates over HTTP beside Redis, and the memory of both.
func (b *bench) measureRedis(ctx context.Context) error {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		b.add(missingRow(sectionRedis, "50 candidates", "redis-server is not on the PATH (apt install redis-server)"))
		return nil
	}
	n, err := b.filledNode(ctx)
	if err != nil {
		return err
	}
	r, err := b.startRedis(ctx, path)
	if err != nil {
		return err
	}
	defer r.stop()
	if b.result.Machine.Redis, err = r.info("server", "redis_version"); err != nil {
		return err
	}
	b.say("Redis %s: filling", b.result.Machine.Redis)
	var perCounter []float64
	names := namings()
	for i := range names {
		of, err := r.fill(ctx, &names[i], b.sizes.Users)
		if err != nil {
			return err
		}
		perCounter = append(perCounter, of)
	}
	loaded, err := r.do("SCRIPT", "LOAD", cappedScript)
	if err != nil {
		return err
	}
	_, sha, _ := strings.Cut(strings.TrimSuffix(loaded, "\r\n"), "\r\n")
	for _, f := range []redisForm{
		{"HMGET, names", &names[0], "", atLeast(2.5), atMost(1)},
		{"HMGET, numbers", &names[1], "", nil, nil},
		{"Lua, names", &names[0], sha, nil, nil},
	} {
		if err := b.besideRedis(ctx, n, r, f); err != nil {
			return err
		}
	}
	ours := []float64{float64(b.filled.Bytes) / float64(b.filled.Counters)}
	for i := range names {
		row := ratioRow(sectionRedis, "memory a counter, "+names[i].name, "bytes", ours, perCounter[i:i+1], "Redis", nil)
		if i == 0 {
			row.Note = "the node keeps each exposure's second and identity, so that every window is exact; Redis keeps a count without a window"
		}
		b.add(row)
	}
	return nil
}

// redisForm is one way of asking Redis, with the marks for the node's calls a second and
// p99, of Redis's.
type redisForm struct {
	name      string
	naming    *naming
	script    string // its SHA-1; "": HMGET
	rate, p99 *mark
}

func (b *bench) besideRedis(ctx context.Context, n *node, r *redisServer, f redisForm) error {
	b.say("Redis: %s", f.name)
	s := shape{Name: "50 candidates", Candidates: 50}
	asked, err := b.askAll(ctx, n, s)
	if err != nil {
		return err
	}
	ours := &target{addr: n.bid, requests: asked.requests, read: readHTTP, pid: n.cmd.Process.Pid}
	theirs := &target{addr: r.addr, requests: s.redisRequests(f.naming, b.sizes.Users, len(asked.requests), f.script), read: readRESP, pid: r.cmd.Process.Pid}
	p, err := runPair(ctx, ours, theirs, b.sizes)
	if err != nil {
		return err
	}
	b.result.Pairs = append(b.result.Pairs, httpPair{Shape: s, Against: "Redis, " + f.name, RequestBytes: meanLength(asked.requests), Capped: asked.capped, pair: p})
	add := func(what, unit string, figure func(*sample) float64, m *mark) row {
		return ratioRow(sectionRedis, "50 candidates, "+what+", "+f.name, unit, figures(p.A, figure), figures(p.B, figure), "Redis", m)
	}
	rate := add("calls a second", "/s", perSecond, f.rate)
	if f.rate != nil {
		rate.Note = "Redis gives 50 counts, for one cap without a window; the node judges three caps, a spacing and a list"
	}
	b.add(rate)
	b.add(add("p99", "us", p99, f.p99))
	b.add(add("server's processor time", "us", serverCPU, nil))
	return nil
}

// command encodes a command of Redis's protocol.
func command(args ...string) []byte {
	dst := fmt.Appendf(nil, "*%d\r\n", len(args))
	for _, arg := range args {
		dst = fmt.Appendf(dst, "$%d\r\n%s\r\n", len(arg), arg)
	}
	return dst
}

// readRESP reads one answer of Redis: a number, a text, or an array of them.
func readRESP(w *wire) (int, error) {
	from, scanned := w.from, 0
	for values := 1; values > 0; {
		line, _, whole := bytes.Cut(w.buffer[from+scanned:w.to], []byte("\r\n"))
		if !whole {
			moved, err := w.moreFrom(from)
			if err != nil {
				return 0, err
			}
			from = moved
			continue
		}
		values--
		next := scanned + len(line) + 2
		if len(line) == 0 {
			return 0, fmt.Errorf("%w: an empty line of Redis", errAnswer)
		}
		switch line[0] {
		case ':', '+':
		case '*', '$':
			n, err := strconv.Atoi(string(line[1:]))
			switch {
			case err != nil || n > 16<<20:
				return 0, fmt.Errorf("%w: Redis says %q", errAnswer, line)
			case n < 0: // nothing there
			case line[0] == '*':
				values += n
			default:
				next += n + 2
			}
		default:
			return 0, fmt.Errorf("%w: Redis says %q", errAnswer, line)
		}
		scanned = next
		for from+scanned > w.to {
			moved, err := w.moreFrom(from)
			if err != nil {
				return 0, err
			}
			from = moved
		}
	}
	w.from = from + scanned
	return scanned, nil
}

// moreFrom reads what is there after what began at from, and returns where that begins
// then.
func (w *wire) moreFrom(from int) (int, error) {
	w.from = from
	err := w.more()
	return w.from, err
}
