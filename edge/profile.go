package edge

import (
	"fmt"
	"maps"
	"runtime/pprof"
	"runtime/trace"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

// profilePath is what the profiles of the process lie below, where the Go tools look
// for them: go tool pprof http://127.0.0.1:8081/debug/pprof/heap
const profilePath = "/debug/pprof/"

// maxProfile is how long a profile over time may take. Chosen: what a person waits.
const maxProfile = 60 * time.Second

// timedProfiles are measured over some time; of each there is one at a time.
var timedProfiles = map[string]struct {
	usual time.Duration
	start func(*fasthttp.RequestCtx) error
	stop  func()
}{
	"profile": {30 * time.Second, func(ctx *fasthttp.RequestCtx) error { return pprof.StartCPUProfile(ctx) }, pprof.StopCPUProfile},
	"trace":   {time.Second, func(ctx *fasthttp.RequestCtx) error { return trace.Start(ctx) }, trace.Stop},
}

// getProfile answers GET /debug/pprof/{profile}, and without a name their names. There are no identifiers in a profile:
// it counts calls and bytes by place in the program. A trace has times.
func (n *Node) getProfile(ctx *fasthttp.RequestCtx, name string) {
	if name == "" {
		ctx.SetContentType("text/plain; charset=utf-8")
		ctx.SetBodyString(strings.Join(profileNames(), "\n") + "\n")
		return
	}
	if timed, ok := timedProfiles[name]; ok {
		length, p := profileTime(ctx, timed.usual)
		if p != nil {
			p.send(ctx)
			return
		}
		ctx.SetContentType("application/octet-stream")
		if err := timed.start(ctx); err != nil {
			p := newProblem(fasthttp.StatusServiceUnavailable, err.Error()+": try again when that one is done")
			p.retryAfter = int(maxProfile / time.Second)
			p.send(ctx)
			return
		}
		select {
		case <-time.After(length):
		case <-ctx.Done(): // the node ends
		}
		timed.stop()
		return
	}
	profile := pprof.Lookup(name)
	if profile == nil {
		newProblem(fasthttp.StatusNotFound, fmt.Sprintf("there is no profile %.40q: ask for one of %s", name, strings.Join(profileNames(), ", "))).send(ctx)
		return
	}
	ctx.SetContentType("application/octet-stream")
	debug := ctx.QueryArgs().GetUintOrZero("debug")
	if debug > 0 {
		ctx.SetContentType("text/plain; charset=utf-8")
	}
	if err := profile.WriteTo(ctx, debug); err != nil {
		newProblem(fasthttp.StatusInternalServerError, err.Error()).send(ctx)
	}
}

// profileNames are the profiles that there are.
func profileNames() []string {
	names := slices.Collect(maps.Keys(timedProfiles))
	for _, p := range pprof.Profiles() {
		names = append(names, p.Name())
	}
	slices.Sort(names)
	return names
}

// profileTime is how long a profile is to take.
func profileTime(ctx *fasthttp.RequestCtx, usual time.Duration) (time.Duration, *problem) {
	asked := ctx.QueryArgs().Peek("seconds")
	if len(asked) == 0 {
		return usual, nil
	}
	seconds, err := strconv.ParseFloat(string(asked), 64)
	length := time.Duration(seconds * float64(time.Second))
	if err != nil || !(seconds > 0 && seconds <= maxProfile.Seconds()) {
		return 0, newProblem(fasthttp.StatusBadRequest, fmt.Sprintf("seconds: %.40q is not a number above 0 and at most %.0f", asked, maxProfile.Seconds()))
	}
	return length, nil
}
