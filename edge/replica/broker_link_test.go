package replica

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// Each reason of an outage is logged once, whatever lies between, and an outage has not many; the next one starts anew.
func TestLinkLog(t *testing.T) {
	var log logged
	l := &link{b: &broker{log: log.log()}, use: "read"}
	for range 2 {
		before := strings.Count(log.String(), "refused")
		l.down(errors.New("gone"))
		for range 50 {
			l.failed(errors.New("a: refused"))
			l.failed(errors.New("b: refused"))
			l.failed(nil)
		}
		if n := strings.Count(log.String(), "refused") - before; n != 2 {
			t.Errorf("%d lines for two reasons", n)
		}
		if err := l.problem(); err == nil || err.Error() != "b: refused" {
			t.Error(err)
		}
		l.up()
		if err := l.problem(); err != nil {
			t.Error(err)
		}
	}
	l.down(errors.New("gone"))
	for port := range 100 {
		l.failed(fmt.Errorf("port %d: reset", port))
	}
	if n := strings.Count(log.String(), "reset"); n >= maxTexts {
		t.Errorf("%d lines of one outage", n)
	}
	if l.b.disconnects() != 3 {
		t.Errorf("%d disconnects", l.b.disconnects())
	}
}
