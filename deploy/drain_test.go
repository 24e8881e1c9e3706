package deploy

import (
	"regexp"
	"strconv"
	"testing"
	"time"
)

// drain is the most that a node takes from SIGTERM to its end, by the constants of the
// program: seen as not ready for at most a minute (drain.wait), two listeners, the outbox,
// and a last snapshot, for which some seconds are taken.
func drain(t testing.TB) time.Duration {
	t.Helper()
	seconds := func(file, name string) time.Duration {
		found := regexp.MustCompile(`\b` + name + ` += (\d+) \* time\.Second\b`).FindStringSubmatch(read(t, file))
		if found == nil {
			t.Fatalf("%s has no %s in seconds", file, name)
		}
		n, err := strconv.Atoi(found[1])
		if err != nil {
			t.Fatal(err)
		}
		return time.Duration(n) * time.Second
	}
	return time.Minute + 2*seconds("../edge/server.go", "drainTimeout") + seconds("../edge/replica/keeper.go", "drainWithin") + 10*time.Second
}

// memory is what GOMEMLIMIT has to be by the formula of the page "Capacity", without lists.
func memory(caps int64) int64 { return (caps*9/8 + 300<<20) * 13 / 10 }

// size is a size as the configuration, systemd or Kubernetes has it, in bytes.
func size(t testing.TB, s string) int64 {
	t.Helper()
	found := regexp.MustCompile(`^(\d+)(Gi|GiB|G|Mi|MiB|M)$`).FindStringSubmatch(s)
	if found == nil {
		t.Fatalf("%q is not a size", s)
	}
	n, err := strconv.ParseInt(found[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	if found[2][0] == 'G' {
		return n << 30
	}
	return n << 20
}

// fits checks what a node may take against what its configuration makes it take.
func fits(t testing.TB, caps, goLimit, limit string) {
	t.Helper()
	if need, soft, hard := memory(size(t, caps)), size(t, goLimit), size(t, limit); soft < need || soft > hard*95/100 {
		t.Errorf("caps.memory %s needs %d MiB: GOMEMLIMIT %s, limit %s", caps, need>>20, goLimit, limit)
	}
}
