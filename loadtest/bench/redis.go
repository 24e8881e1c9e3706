package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

const (
	sectionRedis  = "Beside Redis"
	sectionMemory = "Memory"
	redisGrace    = 2 * time.Second
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

// fill gives each user a hash with the same counters that the node has of it, a field
// for each campaign and for each advertiser, and returns what a counter takes. Names
// and counts are short numbers and the hashes small enough for Redis's compact form: as
// little as it can be.
func (r *redisServer) fill(ctx context.Context, users int) (bytesPerCounter float64, err error) {
	before, err := r.usedMemory()
	if err != nil {
		return 0, err
	}
	for u := range users {
		if u%1000 == 0 && ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		args := []string{"HSET", redisKey(u)}
		for _, campaign := range history(u) {
			args = append(args, strconv.Itoa(campaign), "1", "a"+strconv.Itoa(advertiserOf(campaign)), "1")
		}
		if answer, err := r.do(args...); err != nil || answer != ":20\r\n" {
			return 0, fmt.Errorf("fill Redis: %w", errors.Join(err, fmt.Errorf("%w: HSET answers %q, want 20 new fields", errAnswer, answer)))
		}
	}
	after, err := r.usedMemory()
	if err != nil {
		return 0, err
	}
	if encoding, err := r.do("OBJECT", "ENCODING", redisKey(0)); err != nil || !strings.Contains(encoding, "listpack") && !strings.Contains(encoding, "ziplist") {
		return 0, fmt.Errorf("fill Redis: %w: a user's hash is stored as %q, want its compact form (%v)", errAnswer, encoding, err)
	}
	return float64(after-before) / float64(users*userCounters), nil
}

func redisKey(user int) string { return "u:" + strconv.Itoa(user) }

// redisRequests asks for the same candidates of the same users as decideRequests does.
// With script they go to that script with a limit of 1, else to HMGET.
func (s shape) redisRequests(users, n int, script string) [][]byte {
	requests := make([][]byte, n)
	for i, asked := range s.asks(users, n) {
		args := []string{"HMGET", redisKey(asked.user)}
		if script != "" {
			args = []string{"EVALSHA", script, "1", redisKey(asked.user), "1"}
		}
		for _, campaign := range asked.campaigns {
			args = append(args, strconv.Itoa(campaign))
		}
		requests[i] = command(args...)
	}
	return requests
}

// measureRedis measures 50 candidates over HTTP beside Redis, and the memory of both.
func (b *bench) measureRedis(ctx context.Context) error {
	const name = "50 candidates"
	path, err := exec.LookPath("redis-server")
	if err != nil {
		b.add(missingRow(sectionRedis, name, "redis-server is not on the PATH (apt install redis-server)"))
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
	perCounter, err := r.fill(ctx, b.sizes.Users)
	if err != nil {
		return err
	}
	loaded, err := r.do("SCRIPT", "LOAD", cappedScript)
	if err != nil {
		return err
	}
	_, sha, _ := strings.Cut(strings.TrimSuffix(loaded, "\r\n"), "\r\n")
	s := shape{Name: name, Candidates: 50}
	asked, err := b.askAll(ctx, n, s)
	if err != nil {
		return err
	}
	ours := &target{addr: n.bid, requests: asked.requests, read: readHTTP, pid: n.cmd.Process.Pid}
	for _, form := range []struct {
		what, script string
		rate, p99    *mark
	}{{"HMGET", "", atLeast(2.5), atMost(1)}, {"Lua", sha, nil, nil}} {
		b.say("Redis: %s", form.what)
		theirs := &target{addr: r.addr, requests: s.redisRequests(b.sizes.Users, len(asked.requests), form.script), read: readRESP, pid: r.cmd.Process.Pid}
		p, err := runPair(ctx, ours, theirs, b.sizes)
		if err != nil {
			return err
		}
		b.result.Pairs = append(b.result.Pairs, httpPair{Shape: s, Against: "Redis " + form.what, RequestBytes: meanLength(asked.requests), Capped: asked.capped, pair: p})
		beside := "Redis " + form.what
		b.add(ratioRow(sectionRedis, name+", calls a second, "+form.what, "/s", figures(p.A, perSecond), figures(p.B, perSecond), beside, form.rate))
		b.add(ratioRow(sectionRedis, name+", p99, "+form.what, "us", figures(p.A, p99), figures(p.B, p99), beside, form.p99))
		b.add(ratioRow(sectionRedis, name+", server's processor time, "+form.what, "us", figures(p.A, serverCPU), figures(p.B, serverCPU), beside, nil))
	}
	row := ratioRow(sectionRedis, "memory a counter", "bytes", []float64{float64(b.filled.Bytes) / float64(b.filled.Counters)}, []float64{perCounter}, "Redis", nil)
	row.Note = "the node keeps each exposure's second and identity, so that any window is exact; Redis a count without a window"
	b.add(row)
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
