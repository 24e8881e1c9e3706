//go:build !linux

package loadtest

import "time"

// alarm waits as time.Sleep does.
type alarm struct{}

func newAlarm() (*alarm, error) { return &alarm{}, nil }

// wait returns when d has passed; at once where d is not positive.
func (*alarm) wait(d time.Duration) { time.Sleep(d) }

func (*alarm) close() {}
