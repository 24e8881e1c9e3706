package faults

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"
)

// The streams by their names in NATS.
const (
	eventsStream   = "RESTRAINT_EVENTS"
	refusalsStream = "RESTRAINT_REFUSALS"
	keysStream     = "KV_restraint"
	objectsStream  = "OBJ_restraint-snapshots"
)

// streamSeen is how a server sees a stream, by its monitoring.
type streamSeen struct {
	Name    string
	Cluster struct {
		Leader   string
		Replicas []struct {
			Name    string
			Current bool
			Lag     uint64
		}
	}
	Config struct {
		MaxAge   time.Duration `json:"max_age"`
		Replicas int           `json:"num_replicas"`
	}
	State struct {
		Messages uint64
		First    uint64 `json:"first_seq"`
		Last     uint64 `json:"last_seq"`
	}
}

var monitoring = &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// streams are those that the server has; none where it does not answer.
func (b *broker) streams() map[string]streamSeen {
	resp, err := monitoring.Get(fmt.Sprintf("http://%s/jsz?accounts=true&streams=true&config=true", b.monitor))
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	var answer struct {
		Accounts []struct {
			Streams []streamSeen `json:"stream_detail"`
		} `json:"account_details"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return nil
	}
	seen := map[string]streamSeen{}
	for _, a := range answer.Accounts {
		for _, s := range a.Streams {
			seen[s.Name] = s
		}
	}
	return seen
}

// leading is the running server that says of itself that it leads the stream; nil: none does.
func (c *cluster) leading(stream string) *broker {
	for _, b := range c.brokers {
		if b.running() && b.streams()[stream].Cluster.Leader == b.name {
			return b
		}
	}
	return nil
}

// leader waits until a stream has a leader.
func (c *cluster) leader(t testing.TB, stream string) (leader *broker) {
	t.Helper()
	until(t, "a leader of "+stream, func() bool {
		leader = c.leading(stream)
		return leader != nil
	})
	return leader
}

// awaitCopies waits until every stream has a leader by whose word each other server has all of it.
func (c *cluster) awaitCopies(t testing.TB) {
	t.Helper()
	for _, stream := range []string{eventsStream, refusalsStream, keysStream, objectsStream} {
		until(t, "a copy of "+stream+" on every server", func() bool {
			leader := c.leading(stream)
			if leader == nil {
				return false
			}
			current := 1
			for _, r := range leader.streams()[stream].Cluster.Replicas {
				if r.Current && r.Lag == 0 {
					current++
				}
			}
			return current == len(c.brokers)
		})
	}
}

// others are the servers but for one.
func (c *cluster) others(but *broker) (others []*broker) {
	for _, b := range c.brokers {
		if b != but {
			others = append(others, b)
		}
	}
	return others
}
