package replica

import (
	"testing"
	"time"
)

// The stream is made with the age that is asked for, and copies go by the age that it has: a node with another setting would copy too seldom.
func TestCopiesGoByTheStreamsAge(t *testing.T) {
	_, address := natsServer(t, nil)
	b, _ := testBroker(t, BrokerOptions{URLs: []string{address}, MaxAge: 2 * time.Minute})
	soon(t, "connection", b.connected)
	ensured(t, b)
	config, err := b.streamConfig(t.Context(), eventsStream)
	if err != nil || config.MaxAge != 2*time.Minute {
		t.Fatalf("%v, %v", config, err)
	}
	other, _ := testBroker(t, BrokerOptions{URLs: []string{address}}) // 72 hours
	soon(t, "connection", other.connected)
	ensured(t, other)
	var o Options
	o.defaults()
	c := copier{broker: other, every: o.CopyEvery}
	if got := c.interval(); got != 6*time.Hour {
		t.Errorf("a copy every %v while the age is not known", got)
	}
	c.at, c.whole = func() positions { return positions{} }, func() bool { return false }
	if got := c.try(t.Context()); got != 10*time.Second/8 {
		t.Errorf("the first try is followed by another in %v", got)
	}
	if got := c.interval(); got != 10*time.Second {
		t.Errorf("a copy every %v of what is kept for 2m", got)
	}
}
