package main

import "time"

// sizes are how much is measured.
type sizes struct {
	Users       int           `json:"users"`        // with histories, over HTTP
	ListMembers int           `json:"list_members"` // of the list that every candidate is tested against
	Requests    int           `json:"requests"`     // distinct ones of a shape; of large ones fewer
	Consents    int           `json:"consents"`     // distinct strings
	Connections int           `json:"connections"`
	Turns       int           `json:"turns"` // of each pair; an odd number
	Slice       time.Duration `json:"slice_ns"`
	WarmUp      time.Duration `json:"warm_up_ns"`
	EventBatch  int           `json:"event_batch"`
	Large       bool          `json:"large"` // what takes gigabytes and minutes
	Quick       bool          `json:"quick"`
}

func fullSizes() sizes {
	return sizes{
		Users: 250_000, ListMembers: 1_000_000, Requests: 10_000, Consents: 10_000, Connections: 32,
		Turns: 7, Slice: 1500 * time.Millisecond, WarmUp: 500 * time.Millisecond, EventBatch: 1000,
	}
}

// quickSizes show that everything works; what they measure says nothing.
func quickSizes() sizes {
	return sizes{
		Users: 500, ListMembers: 10_000, Requests: 200, Consents: 50, Connections: 4,
		Turns: 3, Slice: 60 * time.Millisecond, WarmUp: 20 * time.Millisecond, EventBatch: 100, Quick: true,
	}
}
