package edge

import (
	"strings"

	"restraint/edge/access"
)

// door is one path with the methods that the same roles may use.
type door struct {
	path    string // as openapi.yaml has it
	methods string
	roles   access.Roles // any of them; open: nobody is asked for a key
	bid     bool         // on the bid listener too
}

// open paths need no key: what a prober asks, the description of the interface, which
// says nothing about this node, and what browsers call, where the token is the
// credential.
const open access.Roles = 0

// Roles that go together below.
const (
	privacyOps = access.Privacy | access.Ops
	crmOps     = access.CRM | access.Ops
	metricsOps = access.Metrics | access.Ops
)

// matrix says who may use what, once keys are configured. It is the only place that
// does; a path that does not stand here is not served then.
//
// Privacy and ops may ask for decisions since explaining one is their work; the rows
// with a query are those who may ask for that (letIn looks). What a list holds nobody
// can read, so those who look after the node see how lists stand.
var matrix = []door{
	{"/v1/decide", "GET, POST", access.Bid | privacyOps, true},
	{explained, "GET, POST", privacyOps, true},
	{"/v1/events", "POST", access.Bid, true},

	{"/v1/impression", "GET", open, true},
	{"/v1/impression.gif", "GET", open, true},
	{"/v1/release", "GET", open, true},
	{"/v1/why", "GET", open, true},
	{"/v1/hide", "POST", open, true},
	{"/v1/opt-out", "POST", open, true},

	{"/v1/lists", "GET", crmOps, false},
	{"/v1/lists/{name}", "GET", crmOps, false},
	{"/v1/lists/{name}", "PUT, DELETE", access.CRM, false},
	{"/v1/lists/{name}/add", "POST", access.CRM, false},
	{"/v1/lists/{name}/remove", "POST", access.CRM, false},
	{"/v1/lists/{name}/rollback", "POST", access.CRM, false},

	{"/v1/users/lookup", "POST", access.Privacy, false},
	{"/v1/users/erase", "POST", access.Privacy, false},
	{"/v1/users/preferences", "POST", access.Privacy, false},
	{"/v1/users/erasures/{receipt}", "GET", access.Privacy, false},
	{"/v1/retention", "GET", privacyOps, false},
	{"/v1/report", "GET", privacyOps, false},

	{"/v1/audit", "GET", privacyOps, false},
	{"/v1/audit/head", "GET", privacyOps, false},

	{"/v1/policy", "GET, PUT", access.Ops, false},
	{"/v1/policy/history", "GET", access.Ops, false},
	{"/v1/policy/rollback", "POST", access.Ops, false},
	{"/v1/policy/pilot", "GET, POST", access.Ops, false},
	{"/v1/dial-back", "GET", access.Ops, false},
	{"/v1/campaigns/{campaign}/review", "GET", access.Ops, false},
	{"/v1/campaigns/{campaign}/release", "POST", access.Ops, false},

	{"/healthz", "GET", open, false},
	{"/readyz", "GET", open, false},
	{"/openapi.yaml", "GET", open, false},
	{"/metrics", "GET", metricsOps, false},
	{"/v1/status", "GET", access.Ops, false},
	{profilePath, "GET", access.Ops, false},
	{"/debug/pprof/{profile}", "GET", access.Ops, false},
}

// explained is the row of /v1/decide where its answer says why.
const explained = "/v1/decide?explain=1"

// doors are the rows of matrix by path.
var doors = func() map[string][]*door {
	byPath := make(map[string][]*door, len(matrix))
	for i := range matrix {
		d := &matrix[i]
		byPath[d.path] = append(byPath[d.path], d)
	}
	return byPath
}()

// doorsOf are the rows of a path as it is requested; none for a path that does not
// stand in the matrix. Names in a path are found as the routers find them.
func doorsOf(path []byte) []*door {
	if rows := doors[string(path)]; rows != nil && path[len(path)-1] != '}' {
		return rows
	}
	rest, list := strings.CutPrefix(lent(path), "/v1/lists/")
	if list {
		if _, action, _ := strings.Cut(rest, "/"); action != "" {
			return doors["/v1/lists/{name}/"+action]
		}
		return doors["/v1/lists/{name}"]
	}
	if strings.HasPrefix(lent(path), profilePath) {
		return doors[profilePath+"{profile}"]
	}
	if rest, ok := strings.CutPrefix(lent(path), campaignPaths); ok {
		return doors[campaignPaths+"{campaign}"+rest[max(0, strings.LastIndexByte(rest, '/')):]]
	}
	if strings.HasPrefix(lent(path), "/v1/users/erasures/") {
		return doors["/v1/users/erasures/{receipt}"]
	}
	return nil
}

// mayUse are the roles that may use a method of a path. A method that the path does
// not take is for those who may use any of it, who are told which it takes.
func mayUse(rows []*door, method string) (roles access.Roles) {
	for _, d := range rows {
		if allowed(d.methods, method) {
			return d.roles
		}
		roles |= d.roles
	}
	return roles
}
