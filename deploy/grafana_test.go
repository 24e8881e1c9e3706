package deploy

import (
	"encoding/json"
	"strings"
	"testing"
)

// dashboard is what is looked at of Grafana's JSON model.
type dashboard struct {
	Title, UID    string
	SchemaVersion int
	Panels        []struct {
		ID                       int
		Type, Title, Description string
		GridPos                  struct{ X, Y, W, H int }
		Targets                  []struct{ Expr, LegendFormat, RefID string }
	}
	Annotations struct{ List []struct{ Expr string } }
}

// Every query of the dashboard asks for what nodes have, and every panel has its place.
func TestDashboard(t *testing.T) {
	var d dashboard
	if err := json.Unmarshal([]byte(read(t, "grafana/dashboard.json")), &d); err != nil {
		t.Fatal(err)
	}
	if d.Title == "" || d.UID == "" || d.SchemaVersion < 36 || len(d.Panels) < 8 || len(d.Panels) > 16 {
		t.Errorf("%d panels: it is to be taken in at a glance", len(d.Panels))
	}
	metrics := scraped(t)
	look := func(where, expr string) {
		q, err := parseQuery(strings.ReplaceAll(expr, "$__rate_interval", "5m"))
		if err != nil {
			t.Errorf("%s: %v", where, err)
			return
		}
		for _, fault := range metrics.check(q) {
			t.Errorf("%s: %s", where, fault)
		}
	}
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] || p.Title == "" || p.Description == "" || p.Type != "stat" && p.Type != "timeseries" || len(p.Targets) == 0 {
			t.Errorf("panel %d, %q", p.ID, p.Title)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%q lies over %q, or beyond the edge", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		refs := map[string]bool{}
		for _, target := range p.Targets {
			if refs[target.RefID] || target.LegendFormat == "" {
				t.Errorf("%q: query %q", p.Title, target.RefID)
			}
			refs[target.RefID] = true
			look(p.Title, target.Expr)
		}
	}
	for _, a := range d.Annotations.List {
		look("annotation", a.Expr)
	}
}
