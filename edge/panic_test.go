package edge

import (
	"testing"

	"restraint/caps"
)

// A panic while a person is judged costs that request: the person's records are not
// left locked.
func TestPanicLetsGo(t *testing.T) {
	n := benchNode(t, 16<<20, []byte(allocationPolicy))
	body := `{"user":{"id":"u-1"},"candidates":[{"campaign":"shown"}]}`
	whole := n.rules.Load()
	broken := *whole
	broken.plans = nil
	n.rules.Store(&broken)
	func() {
		defer func() {
			if recover() == nil {
				t.Error("rules without plans do not panic")
			}
		}()
		x := new(exchange)
		if err := x.req.Parse([]byte(body)); err != nil {
			t.Fatal(err)
		}
		n.decide(x, benchNow)
	}()
	n.rules.Store(whole)
	x := new(exchange)
	if err := x.req.Parse([]byte(body)); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		n.decide(x, benchNow)
		n.caps.Sweep(caps.Second(benchNow), 1000)
		close(done)
	}()
	<-done // the test's own time-out tells when it hangs
	if x.judge.verdicts[0].reason != Shown {
		t.Errorf("after the panic: %s", x.judge.verdicts[0].reason)
	}
}
