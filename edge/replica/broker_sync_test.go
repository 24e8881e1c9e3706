package replica

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// The interval that is set is the embedded server's own, and the outbox keeps what was acknowledged until it has surely passed.
func TestSyncInterval(t *testing.T) {
	for interval, kept := range map[time.Duration]time.Duration{0: 30 * time.Second, time.Second: 12 * time.Second, time.Minute: 130 * time.Second} {
		o := testOptions(t.TempDir())
		now := time.Unix(int64(testNow), 0)
		o.Now = func() time.Time { return now }
		o.Broker = &BrokerOptions{Dir: t.TempDir(), SyncInterval: interval, Log: o.Log}
		k, _ := opened(t, o)
		want := interval
		if interval == 0 {
			want = 10 * time.Second
		}
		if got := k.broker.embedded.server.Load().JetStreamConfig().SyncInterval; got != want {
			t.Errorf("interval %s: the server has %s", interval, got)
		}
		p := publisher{synced: k.options.BrokerSync, now: o.Now}
		p.note(positionOf(7, 0))
		if now = now.Add(kept - time.Millisecond); p.released() != 0 {
			t.Errorf("interval %s: released before %s have passed", interval, kept)
		}
		if now = now.Add(time.Millisecond); p.released() != positionOf(7, 0) {
			t.Errorf("interval %s: not released after %s", interval, kept)
		}
		now = time.Unix(int64(testNow), 0)
		closed(t, k)
	}
}

// Values under which a disk does nothing else, or an outbox only waits, are refused.
func TestSyncIntervalNonsense(t *testing.T) {
	for _, interval := range []time.Duration{-time.Second, time.Millisecond, 11 * time.Minute, 24 * time.Hour} {
		for _, o := range []BrokerOptions{{Dir: t.TempDir()}, {URLs: []string{"nats://127.0.0.1:1"}}} {
			o.SyncInterval = interval
			b, err := openBroker(o)
			if !errors.Is(err, ErrBrokerOptions) || !strings.Contains(err.Error(), interval.String()) || !strings.Contains(err.Error(), "nats.sync_interval") {
				t.Errorf("%s: %v", interval, err)
			}
			if err == nil {
				b.close()
			}
		}
	}
}
