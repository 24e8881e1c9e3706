package edge

import (
	"fmt"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"restraint/edge/audit"
)

// Bounds of one answer from the record. Chosen.
const (
	auditLimit     = 1000 // entries, where nobody says how many
	maxAuditLimit  = 10_000
	maxAuditAnswer = 4 << 20 // bytes
)

// getAudit answers GET /v1/audit: entries as they stand in the log, one a line.
func (n *Node) getAudit(ctx *fasthttp.RequestCtx) {
	from, limit, p := readAuditQuery(ctx)
	if p != nil {
		p.send(ctx)
		return
	}
	lines, err := n.record.log.Read(from, limit, maxAuditAnswer)
	if err != nil {
		n.logOf(ctx).Error("audit record not read", "error", err.Error())
		newProblem(fasthttp.StatusInternalServerError, "the audit record cannot be read; see the log").send(ctx)
		return
	}
	if lines.Next != 0 {
		ctx.Response.Header.Set("Link", fmt.Sprintf(`</v1/audit?since=%d&limit=%d>; rel="next"`, lines.Next, limit))
	}
	private(ctx)
	ctx.SetContentType("application/x-ndjson")
	ctx.SetBody(lines.Text)
}

func readAuditQuery(ctx *fasthttp.RequestCtx) (from audit.From, limit int, p *problem) {
	limit = auditLimit
	for key, value := range ctx.QueryArgs().All() {
		text := string(value)
		var err error
		switch string(key) {
		case "since":
			if from.Seq, err = strconv.ParseUint(text, 10, 64); err != nil {
				if from.At, err = time.Parse(time.RFC3339, text); err != nil {
					err = fmt.Errorf("since=%.80q: write the number of an entry, or a time as 2027-01-31T00:00:00Z", text)
				}
			}
		case "limit":
			if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > maxAuditLimit {
				err = fmt.Errorf("limit=%.80q: write how many entries, 1 to %d", text, maxAuditLimit)
			}
		default:
			err = fmt.Errorf("%.80s: there is no such parameter here; there are since and limit", key)
		}
		if err != nil {
			return from, limit, newProblem(fasthttp.StatusBadRequest, err.Error())
		}
	}
	return from, limit, nil
}

// headAnswer is what GET /v1/audit/head says.
type headAnswer struct {
	Node string `json:"node"`
	// Head is signed now, over the newest entry.
	Head audit.Head `json:"head"`
	// Kept are the heads that this node keeps of all nodes' logs, its own among them.
	Kept audit.Heads `json:"kept"`
}

// getAuditHead answers GET /v1/audit/head.
func (n *Node) getAuditHead(ctx *fasthttp.RequestCtx) {
	head, ok := n.record.log.Head()
	if !ok {
		notRecorded(audit.ErrNotWritten).send(ctx)
		return
	}
	private(ctx)
	sendJSON(ctx, fasthttp.StatusOK, headAnswer{n.options.Name, head, n.headsKept()})
}

// auditStatus is what /v1/status says of the record.
func (n *Node) auditStatus() map[string]any {
	r := &n.record
	r.mu.Lock()
	defer r.mu.Unlock()
	status := map[string]any{"newest": r.log.Seq(), "owed": len(r.owed), "signing_key": r.log.PublicKey()}
	if r.fault != "" {
		status["error"] = r.fault
	}
	return status
}
