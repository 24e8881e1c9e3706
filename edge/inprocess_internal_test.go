package edge

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"restraint/edge/policy"
)

// A decision in process allocates nothing when dst has room, with a token too. The pool
// of exchanges forgets at random under the race detector, so there it is not looked at.
func TestInProcessDoesNotAllocate(t *testing.T) {
	n := benchNode(t, 32<<20, []byte(allocationPolicy))
	dst := make([]byte, 0, 8192)
	for name, body := range map[string]string{
		"shown":   `{"at":1793500000,"user":{"id":"u-1"},"candidates":[{"campaign":"shown","creative":"a","item":"sku-9"}]}`,
		"skipped": `{"at":1793500000,"candidates":[{"campaign":"shown"},{"campaign":"nope"}]}`,
		"token":   `{"at":1793500000,"user":{"id":"u-1"},"want":1,"token":true,"candidates":[{"campaign":"shown"}]}`,
	} {
		request := []byte(body)
		allocations := testing.AllocsPerRun(500, func() {
			if answer, err := n.AppendDecide(dst, request, false); err != nil || !bytes.HasSuffix(answer, []byte("]}\n")) {
				t.Fatalf("%s: %s %v", name, answer, err)
			}
		})
		if allocations != 0 && !raceDetector {
			t.Errorf("%s: %v allocations", name, allocations)
		}
	}
}

// A panic costs one call in process; a node without a policy says when to ask again.
func TestInProcessFaults(t *testing.T) {
	n := benchNode(t, 16<<20, []byte(allocationPolicy))
	var log bytes.Buffer
	n.log = slog.New(slog.NewJSONHandler(&log, nil))
	body := []byte(`{"at":1793500000,"user":{"id":"raw-id-1"},"candidates":[{"campaign":"shown"}]}`)
	whole := n.rules.Load()
	broken, none := *whole, rules{Policy: new(policy.Policy)}
	broken.plans = nil
	for _, c := range []struct {
		rules  *rules
		status int
		says   string
	}{{&broken, 500, "it is logged"}, {&none, 503, "no policy is in force"}, {whole, 0, ""}} {
		n.rules.Store(c.rules)
		answer, err := n.AppendDecide([]byte("before:"), body, false)
		if c.status == 0 {
			if err != nil || !json.Valid(answer[7:]) {
				t.Errorf("afterwards: %s %v", answer, err)
			}
			continue
		}
		var refused *RequestError
		if !errors.As(err, &refused) || refused.Status != c.status || !strings.Contains(refused.Detail, c.says) || string(answer) != "before:" ||
			(refused.RetryAfter > 0) != (c.status == 503) {
			t.Errorf("%d: %s %v %+v", c.status, answer, err, refused)
		}
	}
	if n.metrics.panics.Get() != 1 || !strings.Contains(log.String(), "handler panicked") || strings.Contains(log.String(), "raw-id-1") {
		t.Errorf("%d panics counted; the log: %s", n.metrics.panics.Get(), log.String())
	}
}
