package loadtest

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestLoadRefuses(t *testing.T) {
	f := newLoadNode(t)
	for name, c := range map[string]struct {
		change func(o *LoadOptions)
		want   error
		says   string
	}{
		"rate":           {func(o *LoadOptions) { o.Config.Rate = 0 }, ErrOptions, "--rate=0"},
		"users":          {func(o *LoadOptions) { o.Config.Users = 0 }, ErrOptions, "--users=0"},
		"schedule":       {func(o *LoadOptions) { o.Config.Schedule = "sine" }, ErrOptions, `--schedule="sine"`},
		"candidates":     {func(o *LoadOptions) { o.Config.Candidates = 501 }, ErrOptions, "--candidates=501"},
		"hold":           {func(o *LoadOptions) { o.Config.Hold = true }, ErrOptions, "--hold"},
		"no campaigns":   {func(o *LoadOptions) { o.Admin = "" }, ErrOptions, "--campaign"},
		"oracle, holds":  {func(o *LoadOptions) { o.Oracle, o.Config.Want, o.Config.Hold = true, 1, true }, ErrOptions, "--oracle"},
		"closed knee":    {func(o *LoadOptions) { o.FindKnee, o.Config.Closed = true, true }, ErrOptions, "--find-knee"},
		"remote":         {func(o *LoadOptions) { o.Config.Addr = "192.0.2.1:80" }, ErrRemote, "192.0.2.1"},
		"remote admin":   {func(o *LoadOptions) { o.Admin = "[2001:db8::1]:80" }, ErrRemote, "2001:db8::1"},
		"https, nobody":  {func(o *LoadOptions) { o.Config.Addr = "https://localhost:1" }, ErrUnreachable, "restraint serve"},
		"https, no port": {func(o *LoadOptions) { o.Config.Addr = "https://localhost" }, ErrOptions, "https://host:port"},
		"no port":        {func(o *LoadOptions) { o.Config.Addr = "localhost" }, ErrOptions, "host:port"},
		"no path":        {func(o *LoadOptions) { o.Config.Addr = "unix:" }, ErrOptions, "unix:/path"},
		"nobody":         {func(o *LoadOptions) { o.Config.Addr = "127.0.0.1:1" }, ErrUnreachable, "restraint serve"},
		"nobody, admin":  {func(o *LoadOptions) { o.Admin = "127.0.0.1:1" }, ErrUnreachable, "restraint serve"},
		"no such source": {func(o *LoadOptions) { o.SourcePath = "no.jsonl" }, nil, "no.jsonl"},
	} {
		o := f.options()
		c.change(&o)
		if _, err := Load(t.Context(), o); err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if f.decides > 0 {
		t.Errorf("%d requests were sent", f.decides)
	}
	for status, want := range map[int]error{http.StatusUnauthorized: ErrKey, http.StatusForbidden: ErrKey, http.StatusNotFound: ErrNode} {
		f := newLoadNode(t)
		f.fail = every(1, status)
		if _, err := Load(t.Context(), f.options()); !errors.Is(err, want) || f.decides != 1 {
			t.Errorf("status %d: %v after %d requests", status, err, f.decides)
		}
	}
	o := f.options()
	o.Config.Addr, o.YesRemote = "localhost:1", false
	if _, err := resolveTarget(t.Context(), "--addr", "localhost:80", false); err != nil {
		t.Errorf("localhost: %v", err)
	}
	if r, err := resolveTarget(t.Context(), "--addr", "192.0.2.1:80", true); err != nil || !r.remote {
		t.Errorf("--yes-remote: %v", err)
	}
	f.policy = "campaigns: {a: {advertiser: x, caps: [{per: campaign, limit: 1, within: day}]}}"
	o = f.options()
	o.Oracle = true
	if _, err := Load(t.Context(), o); !errors.Is(err, ErrOptions) || !strings.Contains(fmt.Sprint(err), "campaigns.a.caps[0]") {
		t.Errorf("%v", err)
	}
}

func TestParseMix(t *testing.T) {
	if got, err := ParseMix("decide=95, impression=5"); err != nil || !slices.Equal(got, []Weight{{"decide", 95}, {"impression", 5}}) {
		t.Errorf("%v, %v", got, err)
	}
	for _, text := range []string{"", "decide", "decide=x", "decide=-1", "decide=0", "impression=1", "view=1,decide=1", "decide=1,decide=2", "decide=NaN"} {
		if got, err := ParseMix(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
	if _, err := ParseCountries("DEU=1,usa=2"); err == nil {
		t.Error("usa is a country")
	}
	if got, err := ParseCountries("DEU=60,USA=40"); err != nil || len(got) != 2 {
		t.Errorf("%v, %v", got, err)
	}
}
