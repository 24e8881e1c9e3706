package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// How an upload is followed (chosen): how often the node is asked, and from how
// many bytes on; fewer are through before it could answer.
const (
	followEvery = 500 * time.Millisecond
	followFrom  = 1 << 20
)

// follow asks the node how many rows of an upload it has read, which nobody can
// see from the bytes of a compressed file, and tells the bar. work is what the node
// calls it: upload or change. What it returns ends the asking and waits for it.
func (c *client) follow(ctx context.Context, list, work string, bar *progress) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		ticker := time.NewTicker(followEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			if bar.sent() >= followFrom {
				c.tellRows(ctx, list, work, bar)
			}
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}
}

// tellRows asks once. A node that does not say, or is at something else, leaves the
// bar as it is.
func (c *client) tellRows(ctx context.Context, list, work string, bar *progress) {
	body, err := c.do(ctx, request{method: http.MethodGet, path: "/v1/lists/" + url.PathEscape(list)})
	if err != nil {
		return // the upload itself will say what is wrong
	}
	var status struct {
		Work struct {
			What string `json:"what"`
			Rows int64  `json:"rows"`
		} `json:"work"`
	}
	if json.Unmarshal(body, &status) == nil && status.Work.What == work && status.Work.Rows > 0 {
		bar.tell(status.Work.Rows)
	}
}
