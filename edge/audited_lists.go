package edge

import (
	"strings"

	"github.com/valyala/fasthttp"

	"restraint/edge/audit"
	"restraint/suppress"
)

// listFacts are how a list stands.
func (n *Node) listFacts(name string) audit.Facts {
	st, err := n.lists.Status(name)
	if err != nil {
		return nil
	}
	return audit.Facts{"generation": st.Generation, "keys": uint64(max(st.Keys, 0))}
}

// beginList puts a change of a list on record.
func (n *Node) beginList(ctx *fasthttp.RequestCtx, action audit.Action, name string, after audit.Facts) (*recorded, *problem) {
	return n.begin(ctx, audit.Entry{Action: action, List: name, Before: n.listFacts(name), After: after})
}

// beginUpload is beginList for an upload; of a dry run there is nothing to record.
func (n *Node) beginUpload(ctx *fasthttp.RequestCtx, name string, asked *suppress.Import) (*recorded, *problem) {
	if asked.DryRun {
		return nil, nil
	}
	action := audit.ListAdd
	switch {
	case ctx.IsPut():
		action = audit.ListPut
	case strings.HasSuffix(string(ctx.Path()), "remove"):
		action = audit.ListRemove
	}
	after := audit.Facts{}
	if asked.Normalize != "" {
		after["normalize"] = asked.Normalize
	}
	if asked.Until != 0 {
		after["until"] = uint64(asked.Until)
	}
	if asked.Force {
		after["force"] = true
	}
	return n.beginList(ctx, action, name, after)
}

// endUpload puts on record what became of an upload. elsewhere: the cluster has it, and
// this node is still to follow.
func (r *recorded) endUpload(p *problem, report *suppress.Report, elsewhere bool) {
	if p != nil {
		r.failed(p)
		return
	}
	after := audit.Facts{
		"generation": report.Generation, "keys": report.Keys, "rows": report.Rows, "duplicates": report.Duplicates, "empty": report.Empty, "rejected": report.Rejected,
	}
	if elsewhere {
		after["here"] = "this node is still to follow the cluster"
	}
	r.end(audit.Done, nil, after)
}
