package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// node is a node in a process of its own, with everything it needs in a directory that
// goes with it.
type node struct {
	*process
	bid, admin string // addresses
}

// startNode starts `restraint serve` with its defaults on free ports of the loopback
// and the benchmark's policy, and waits until it is ready.
func startNode(ctx context.Context, binary, dir string, policy []byte) (*node, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("start node: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "policy.yaml"), policy, 0o644); err != nil {
		return nil, fmt.Errorf("start node: %w", err)
	}
	p, err := start("node", dir, binary, "serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--policy", "policy.yaml")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("it took a minute"))
	defer cancel()
	line, err := p.says(ctx, `"msg":"ready"`)
	if err != nil {
		p.stop(nodeGrace)
		return nil, err
	}
	var ready struct{ Listen, Admin string }
	if err := json.Unmarshal([]byte(line), &ready); err != nil || ready.Listen == "" || ready.Admin == "" {
		p.stop(nodeGrace)
		return nil, fmt.Errorf("start node: its log line %q names no addresses", line)
	}
	return &node{p, ready.Listen, ready.Admin}, nil
}

// nodeGrace is how long a node has to end by itself; what it keeps goes anyway.
const nodeGrace = 5 * time.Second

// admin is without idle connections: a node that ends would wait for them.
var admin = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 2 * time.Minute}

// call asks the admin listener for something that is answered with 2xx.
func (n *node) call(ctx context.Context, method, path, contentType string, body io.Reader) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+n.admin+path, body)
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := admin.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if resp.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s %s: %w: status %d, %s", method, path, errAnswer, resp.StatusCode, answer)
	}
	return answer, nil
}

// pushList gives the list its members.
func (n *node) pushList(ctx context.Context, count int) error {
	r := members(count)
	defer r.Close()
	answer, err := n.call(ctx, http.MethodPut, "/v1/lists/"+listName+"?id=user.id", "text/plain", r)
	if err != nil {
		return fmt.Errorf("push list: %w", err)
	}
	var pushed struct{ Keys int }
	if err := json.Unmarshal(answer, &pushed); err != nil || pushed.Keys != count {
		return fmt.Errorf("push list: %w: %s, want %d keys", errAnswer, answer, count)
	}
	return nil
}

// counters is what /v1/status says of the counters.
type counters struct {
	Users    int   `json:"users"`
	Counters int   `json:"counters"`
	Bytes    int64 `json:"bytes"`
	Evicted  int   `json:"evicted_users"`
}

func (n *node) counters(ctx context.Context) (counters, error) {
	answer, err := n.call(ctx, http.MethodGet, "/v1/status", "", nil)
	if err != nil {
		return counters{}, err
	}
	var status struct{ Counters counters }
	if err := json.Unmarshal(answer, &status); err != nil {
		return counters{}, fmt.Errorf("read status of the node: %w", err)
	}
	return status.Counters, nil
}

// fill gives users their histories and the list its members, and checks that both are
// there. It returns when the node has come to rest.
func (n *node) fill(ctx context.Context, users, listed int) (counters, error) {
	if err := n.pushList(ctx, listed); err != nil {
		return counters{}, err
	}
	t := &target{addr: n.bid, read: readHTTP}
	l, err := openLoop(ctx, t, 1)
	if err != nil {
		return counters{}, err
	}
	defer l.close()
	for from := 0; from < users; from += 10_000 {
		if err := ctx.Err(); err != nil {
			return counters{}, context.Cause(ctx)
		}
		requests := fillPart(from, min(from+10_000, users), time.Now().Unix())
		for _, request := range requests {
			answer, err := l.wires[0].ask(request, readHTTP)
			if err != nil {
				return counters{}, fmt.Errorf("fill node: %w", err)
			}
			if !bytes.Contains(answer, []byte(`"rejected":[]`)) {
				return counters{}, fmt.Errorf("fill node: %w: %s", errAnswer, answer)
			}
		}
	}
	c, err := n.counters(ctx)
	if err != nil {
		return counters{}, err
	}
	// Two scopes of one user fall together once in 2^32.
	if c.Users != users || c.Counters < users*userCounters-10 || c.Evicted != 0 {
		return counters{}, fmt.Errorf("fill node: %w: it counts %+v, want %d users of %d counters", errAnswer, c, users, userCounters)
	}
	return c, settle(ctx, n.cmd.Process.Pid, mostSettling)
}

// mostSettling is how long a node may be busy after it was filled: it publishes what
// it took and writes a snapshot.
const mostSettling = 40 * time.Second
