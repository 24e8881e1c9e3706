package edge

import (
	runtimemetrics "runtime/metrics"
	"time"

	"github.com/valyala/fasthttp"

	"restraint/caps"
	"restraint/suppress"
)

// getStatus answers GET /v1/status.
func (n *Node) getStatus(ctx *fasthttp.RequestCtx) {
	all, _ := n.ready()
	wall := "wall"
	if n.clock.request {
		wall = "request"
	}
	counters, lists := n.caps.Stats(), n.lists.StatusAll()
	status := map[string]any{
		"node":               n.options.Name,
		"version":            n.options.Version,
		"ready":              all,
		"clock":              wall,
		"now":                n.clock.at(time.Now(), 0),
		"policy":             n.rules.Load().Version,
		"lists":              lists,
		"users":              counters.Users,
		"counters":           countersOf(counters),
		"memory":             n.memoryOf(counters, lists),
		"secret_fingerprint": n.options.Secret.Fingerprint(),
		"audit":              n.auditStatus(),
		"secret":             n.epochStatus(),
	}
	if r := n.keeper.Kept().Replication; r != nil {
		status["replication"] = r
	}
	sendJSON(ctx, fasthttp.StatusOK, status)
}

// countersOf is what the store of counters holds and gave up, as /v1/status
// gives it. See caps.Stats for what each means.
func countersOf(s caps.Stats) map[string]any {
	return map[string]any{
		"users": s.Users, "cut_only_users": s.CutOnly, "counters": s.Counters, "bytes": s.Bytes,
		"refusal_users": s.RefusalUsers, "refusals": s.Refusals, "refusal_bytes": s.RefusalBytes,
		"evicted_exposures": s.EvictedExposures, "evicted_users": s.EvictedUsers, "evicted_cuts": s.EvictedCuts,
		"dropped_scopes": s.DroppedScopes, "late_exposures": s.Late, "erased_exposures": s.Erased, "refusals_full": s.Refused,
	}
}

// memoryOf says, in bytes, where the node's memory is and what bounds it: all of it is
// managed by Go, and what is not named apart is the program, what it is answering, and
// garbage.
func (n *Node) memoryOf(s caps.Stats, lists []suppress.Status) map[string]any {
	managed := []runtimemetrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	runtimemetrics.Read(managed)
	var filters int64
	for i := range lists {
		filters += lists[i].Bytes
	}
	return map[string]any{
		"exposure_bytes": s.Bytes, "exposure_budget_bytes": n.options.Caps.Memory,
		"refusal_bytes": s.RefusalBytes, "refusal_budget_bytes": n.options.Caps.RefusalMemory,
		"list_bytes": filters,
		"go_bytes":   managed[0].Value.Uint64() - managed[1].Value.Uint64(),
	}
}
