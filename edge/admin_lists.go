package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"restraint/edge/audit"
	"restraint/edge/identity"
	"restraint/edge/policy"
	"restraint/edge/shared"
	"restraint/suppress"
)

// openLists loads the generations on disk.
func (n *Node) openLists() (err error) {
	o := &n.options
	n.lists, err = suppress.Open(suppress.Options{
		Dir:         filepath.Join(o.Dir, "suppress"),
		MaxRejected: o.MaxRejected,
		MaxShrink:   o.MaxShrink,
		Fingerprint: o.Secret.Fingerprint(),
		Seals:       listSeals{o.Secret.Epochs()},
		Hash:        n.hasher.Key,
		Item:        n.itemOf,
		MaxChanges:  o.ListChanges,
		Limits:      suppress.Limits{CompressedBytes: o.MaxUpload, Time: o.UploadTime},
	})
	if err != nil {
		return err
	}
	for _, notice := range n.lists.Notices() {
		n.log.Warn("list found damaged", "list", notice.List, "detail", notice.Detail)
	}
	return nil
}

// itemOf is the tag of an item of a list: a list of orders names items on its
// own, whatever advertiser a campaign belongs to.
func (n *Node) itemOf(list string, item []byte) uint64 {
	return n.tags.TagBytes(identity.KindItem, n.tags.Tag(identity.KindList, 0, list), item)
}

// declare is a list of the policy as the store of lists takes it.
func declare(l *policy.List) suppress.Declaration {
	return suppress.Declaration{
		Name: l.Name, Sources: l.IDs, Items: l.Items, Filter: l.Filter, Exact: l.Exact,
		MaxAge: time.Duration(l.MaxAge) * time.Second,
	}
}

// serveList serves /v1/lists/{name} and what is below it.
func (n *Node) serveList(ctx *fasthttp.RequestCtx, rest string) {
	name, action, _ := strings.Cut(rest, "/")
	method := string(ctx.Method())
	switch {
	case action == "" && method == "GET":
		n.getList(ctx, name)
	case action == "" && method == "PUT":
		n.upload(ctx, name, func(name string, r io.Reader, o suppress.Import) (suppress.Report, error) {
			return n.replaceList(context.Background(), name, r, o)
		})
	case action == "" && method == "DELETE":
		n.removeList(ctx, name)
	case action == "":
		notAllowed(ctx, "GET, PUT, DELETE")
	case action != "add" && action != "remove" && action != "rollback":
		notFound(ctx)
	case method != "POST":
		notAllowed(ctx, "POST")
	case action == "rollback":
		n.rollbackList(ctx, name)
	default:
		op := suppress.Add
		if action == "remove" {
			op = suppress.Remove
		}
		n.upload(ctx, name, func(name string, r io.Reader, o suppress.Import) (suppress.Report, error) {
			return n.changeList(context.Background(), name, op, r, o)
		})
	}
}

// getLists answers with every list.
func (n *Node) getLists(ctx *fasthttp.RequestCtx) {
	sendJSON(ctx, fasthttp.StatusOK, map[string]any{"lists": n.listAnswers()})
}

func (n *Node) getList(ctx *fasthttp.RequestCtx, name string) {
	status, err := n.lists.Status(name)
	if err != nil {
		listProblem(name, err).send(ctx)
		return
	}
	sendJSON(ctx, fasthttp.StatusOK, n.listAnswer(status, n.nodeLists()))
}

func (n *Node) rollbackList(ctx *fasthttp.RequestCtx, name string) {
	request, p := n.once(ctx)
	if p != nil {
		p.send(ctx)
		return
	}
	defer request.end()
	if request.again(ctx, name) {
		return
	}
	change, p := n.beginList(ctx, audit.ListRollback, name, nil)
	if p != nil {
		p.send(ctx)
		return
	}
	status, err := n.rollBack(context.Background(), name)
	if err != nil && !errors.Is(err, errListElsewhere) {
		p := listProblem(name, err)
		change.failed(p)
		p.send(ctx)
		return
	}
	change.end(audit.Done, nil, audit.Facts{"generation": status.Generation})
	n.log.Info("list rolled back", "list", name)
	done := listDone(fasthttp.StatusOK, err)
	request.done(request.reader(n.bodyReader(ctx)), done, status)
	sendJSON(ctx, done, status)
}

func (n *Node) removeList(ctx *fasthttp.RequestCtx, name string) {
	change, p := n.beginList(ctx, audit.ListDelete, name, nil)
	if p != nil {
		p.send(ctx)
		return
	}
	if err := n.deleteList(context.Background(), name); err != nil {
		p := listProblem(name, err)
		change.failed(p)
		p.send(ctx)
		return
	}
	change.end(audit.Done, nil, nil)
	n.log.Info("list deleted", "list", name)
	ctx.SetStatusCode(fasthttp.StatusNoContent)
}

// listDone is the status of a change that was made, or that this node is still to
// follow.
func listDone(status int, err error) int {
	if err != nil {
		return fasthttp.StatusAccepted
	}
	return status
}

// upload streams a body into a list by put, and answers with its report.
func (n *Node) upload(ctx *fasthttp.RequestCtx, name string, put func(string, io.Reader, suppress.Import) (suppress.Report, error)) {
	if declared := ctx.Request.Header.ContentLength(); int64(declared) > n.options.MaxUpload {
		linger(ctx)
		newProblem(fasthttp.StatusRequestEntityTooLarge,
			fmt.Sprintf("%d bytes; limits.upload allows %d: raise it, or send the list compressed", declared, n.options.MaxUpload)).send(ctx)
		return
	}
	asked, p := readImport(ctx)
	if p != nil {
		linger(ctx)
		p.send(ctx)
		return
	}
	request, p := n.once(ctx)
	if p != nil {
		linger(ctx)
		p.send(ctx)
		return
	}
	defer request.end()
	if request.again(ctx, name) {
		return
	}
	if !n.uploads.begin() {
		linger(ctx)
		p := newProblem(fasthttp.StatusServiceUnavailable, fmt.Sprintf("%d uploads are under way, which is as many as are taken at once; the list stays as it was, send it again", maxUploads))
		p.retryAfter = 5
		p.send(ctx)
		return
	}
	defer n.uploads.end()
	change, p := n.beginUpload(ctx, name, &asked)
	if p != nil {
		linger(ctx)
		p.send(ctx)
		return
	}
	before, _ := n.lists.Status(name)
	body := request.reader(n.bodyReader(ctx))
	report, err := put(name, body, asked)
	elsewhere := errors.Is(err, errListElsewhere)
	if elsewhere {
		n.log.Error("list changed in the cluster and not yet here", "list", name, "error", err.Error())
	} else if err != nil {
		n.log.Warn("list not changed", "list", name, "error", err.Error())
		linger(ctx)
		p := listProblem(name, err)
		change.endUpload(p, &report, false)
		p.Report = &report
		p.send(ctx)
		return
	}
	change.endUpload(nil, &report, elsewhere)
	if !asked.DryRun {
		n.log.Info("list changed", "list", name, "generation", report.Generation, "keys", report.Keys, "rejected", report.Rejected)
	}
	status := listDone(fasthttp.StatusOK, err)
	if !elsewhere && before.Generation == 0 && ctx.IsPut() && !asked.DryRun {
		status = fasthttp.StatusCreated
	}
	if !asked.DryRun {
		request.done(body, status, report)
	}
	sendJSON(ctx, status, report)
}

// readImport reads how an upload is to be read from its headers and query.
func readImport(ctx *fasthttp.RequestCtx) (o suppress.Import, p *problem) {
	if o.Format, p = uploadFormat(ctx); p != nil {
		return o, p
	}
	switch e := string(ctx.Request.Header.ContentEncoding()); e {
	case "", "identity":
	case "gzip", "x-gzip":
		o.Compression = suppress.Gzip
	case "zstd":
		o.Compression = suppress.Zstd
	default:
		return o, newProblem(fasthttp.StatusUnsupportedMediaType, fmt.Sprintf("the encoding %q is not taken; send gzip, zstd or none", e))
	}
	for key, value := range ctx.QueryArgs().All() {
		if err := setImport(&o, string(key), string(value)); err != nil {
			return o, newProblem(fasthttp.StatusBadRequest, err.Error())
		}
	}
	return o, nil
}

func uploadFormat(ctx *fasthttp.RequestCtx) (string, *problem) {
	full := string(ctx.Request.Header.ContentType())
	mediaType, _, _ := strings.Cut(full, ";")
	switch strings.ToLower(strings.TrimSpace(mediaType)) {
	case "text/csv", "application/csv", "text/tab-separated-values":
		return suppress.CSV, nil
	case "application/x-ndjson", "application/ndjson", "application/jsonl":
		return suppress.NDJSON, nil
	case "text/plain":
		return suppress.Plain, nil
	}
	return "", newProblem(fasthttp.StatusUnsupportedMediaType,
		fmt.Sprintf("the content type %q is not taken; send text/csv, application/x-ndjson or text/plain (one identifier a line)", full))
}

// setImport sets one query parameter of an upload.
func setImport(o *suppress.Import, key, value string) (err error) {
	switch key {
	case "map":
		// The source is what follows the last colon: a column's name may hold one.
		i := strings.LastIndexByte(value, ':')
		if i <= 0 || i == len(value)-1 {
			return fmt.Errorf("map=%q: write map=COLUMN:SOURCE, as map=Email:email_sha256", value)
		}
		o.Map = append(o.Map, suppress.Column{Column: value[:i], Source: value[i+1:]})
	case "id":
		o.ID = value
	case "column":
		o.Column = value
	case "item_column":
		o.ItemColumn = value
	case "normalize":
		o.Normalize = value
	case "until":
		o.Until, err = readUntil(value)
	case "dry_run":
		o.DryRun, err = readBool(key, value)
	case "force":
		o.Force, err = readBool(key, value)
	default:
		return fmt.Errorf("%s: there is no such parameter; map, id, column, item_column, normalize, until, dry_run and force are", key)
	}
	return err
}

func readBool(key, value string) (bool, error) {
	switch value {
	case "", "1", "true":
		return true, nil
	case "0", "false":
		return false, nil
	}
	return false, fmt.Errorf("%s=%q: write true or false", key, value)
}

// readUntil reads a time as Unix seconds or RFC 3339.
func readUntil(value string) (uint32, error) {
	if n, err := strconv.ParseUint(value, 10, 32); err == nil {
		return uint32(n), nil
	}
	t, err := time.Parse(time.RFC3339, value)
	if err != nil || t.Unix() <= 0 || t.Unix() > math.MaxUint32 {
		return 0, fmt.Errorf("until=%q: write Unix seconds (not milliseconds), or a time as 2027-01-31T00:00:00Z", value)
	}
	return uint32(t.Unix()), nil
}

// listStatus is the status of each condition of the store of lists.
var listStatus = []struct {
	err    error
	status int
}{
	{suppress.ErrUnknownList, fasthttp.StatusNotFound},
	{suppress.ErrName, fasthttp.StatusBadRequest},
	{suppress.ErrNoSpace, fasthttp.StatusServiceUnavailable},
	{suppress.ErrNotDurable, fasthttp.StatusServiceUnavailable},
	{shared.ErrAway, fasthttp.StatusServiceUnavailable},
	{errListRefused, fasthttp.StatusServiceUnavailable},
	{shared.ErrConflict, fasthttp.StatusConflict},
	{suppress.ErrOlder, fasthttp.StatusConflict},
	{suppress.ErrReplay, fasthttp.StatusConflict},
	{suppress.ErrBusy, fasthttp.StatusConflict},
	{suppress.ErrNoPrevious, fasthttp.StatusConflict},
	{suppress.ErrDamaged, fasthttp.StatusConflict},
	{suppress.ErrTooLarge, fasthttp.StatusRequestEntityTooLarge},
	{suppress.ErrExpanded, fasthttp.StatusRequestEntityTooLarge},
	{suppress.ErrRatio, fasthttp.StatusRequestEntityTooLarge},
	{suppress.ErrTooSlow, fasthttp.StatusRequestTimeout},
	{suppress.ErrShrink, fasthttp.StatusUnprocessableEntity},
	{suppress.ErrRejected, fasthttp.StatusUnprocessableEntity},
	{suppress.ErrColumn, fasthttp.StatusBadRequest},
	{suppress.ErrSource, fasthttp.StatusBadRequest},
	{suppress.ErrImport, fasthttp.StatusBadRequest},
	{suppress.ErrTruncated, fasthttp.StatusBadRequest},
	{suppress.ErrCorrupt, fasthttp.StatusBadRequest},
	{suppress.ErrRowTooLong, fasthttp.StatusBadRequest},
	{suppress.ErrFull, fasthttp.StatusServiceUnavailable},
	{suppress.ErrVersion, fasthttp.StatusServiceUnavailable},
	{suppress.ErrFingerprint, fasthttp.StatusServiceUnavailable},
	{suppress.ErrEpoch, fasthttp.StatusServiceUnavailable},
	{suppress.ErrClosed, fasthttp.StatusServiceUnavailable},
}

// listProblem is the answer to a list's error; what it was about stays as it was.
func listProblem(name string, err error) *problem {
	p := diskProblem(err, "the list stays as it was")
	for _, s := range listStatus {
		if errors.Is(err, s.err) {
			p = newProblem(s.status, err.Error())
			break
		}
	}
	switch {
	case errors.Is(err, suppress.ErrTooLarge):
		p.Detail += " (limits.upload)"
	case errors.Is(err, suppress.ErrTooSlow):
		p.Detail += fmt.Sprintf(" (limits.upload_time, and %v for each piece)", stallTimeout)
	case errors.Is(err, shared.ErrAway):
		p.Detail += ": the list stays as it is, but for what NATS took without an answer; send it again"
	}
	var busy *suppress.BusyError
	if errors.As(err, &busy) {
		p.Work = busy.Work
	}
	if p.Status == fasthttp.StatusServiceUnavailable || busy != nil {
		p.retryAfter = 5
	}
	if p.Status == fasthttp.StatusNotFound {
		p.Mend = fmt.Sprintf("lists:\n  %s: {id: [email_sha256, user.id], source: first_party, basis: contract}\n", name)
	}
	return p
}
