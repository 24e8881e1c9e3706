package loadtest

// LoadMachine is where the generator ran; the target too, unless it was remote.
type LoadMachine struct {
	OS   string `json:"os"`
	Arch string `json:"arch"`
	// CPUs are what the generator may use.
	CPUs int    `json:"cpus"`
	Go   string `json:"go"`
}

// LoadConfig is what was asked for, with every default filled in.
type LoadConfig struct {
	// Addr is the address requests went to, as given.
	Addr string `json:"addr"`
	// Closed is a closed loop: each connection sends as soon as it has its answer. The
	// intended send time then is the actual one, and both latencies are the same.
	Closed bool `json:"closed"`
	// Schedule is constant, step, ramp, spike or soak; "" in a closed loop.
	Schedule string `json:"schedule,omitempty"`
	// Arrivals is even or poisson; "" in a closed loop.
	Arrivals string `json:"arrivals,omitempty"`
	// Rate is the schedule's highest requests per second, of the spike without it; 0 in
	// a closed loop.
	Rate float64 `json:"rate,omitempty"`
	// Segments is the schedule itself.
	Segments        []Segment `json:"segments,omitempty"`
	DurationSeconds float64   `json:"duration_seconds"`
	WarmUpSeconds   float64   `json:"warm_up_seconds"`
	TimeoutSeconds  float64   `json:"timeout_seconds"`
	// Connections bounds the requests outstanding at one time.
	Connections int `json:"connections"`
	// Mix has the weight of each kind of request.
	Mix  []Weight `json:"mix"`
	Seed uint64   `json:"seed"`

	Users int `json:"users"`
	// Zipf is the exponent of the law by which users are drawn; 0: all alike.
	Zipf float64 `json:"zipf"`
	// Identifiers is the most identifiers that a user has; users with fewer are more.
	Identifiers int `json:"identifiers"`
	// IFAPercent of the users have a device identifier beside those.
	IFAPercent float64 `json:"ifa_percent"`
	// Run stands before every user's identifier, so that runs with another Run are
	// other people.
	Run string `json:"run,omitempty"`

	// Candidates of each decide request.
	Candidates int `json:"candidates"`
	// Campaigns that candidates are drawn from.
	Campaigns int `json:"campaigns"`
	// CreativePercent, ItemPercent and CategoryPercent of the candidates name one.
	CreativePercent float64 `json:"creative_percent"`
	ItemPercent     float64 `json:"item_percent"`
	CategoryPercent float64 `json:"category_percent"`
	// Want, Hold, Token and Brief are those of the decide requests.
	Want  int  `json:"want"`
	Hold  bool `json:"hold"`
	Token bool `json:"token"`
	Brief bool `json:"brief"`
	// ConsentPercent of the requests carry one of ConsentStrings distinct strings.
	ConsentPercent float64 `json:"consent_percent"`
	ConsentStrings int     `json:"consent_strings"`
	// Countries has the weight of each country sent; empty: none is sent.
	Countries []Weight `json:"countries,omitempty"`
	// Source is the base name of the log of bid requests used, and SourceRows how many
	// it gave; "" where requests were made up.
	Source     string `json:"source,omitempty"`
	SourceRows int    `json:"source_rows,omitempty"`
	// RequestBytes is the mean size of a decide request's body.
	RequestBytes float64 `json:"request_bytes"`
}

// Weight is a name and its share of the sum of all weights beside it.
type Weight struct {
	Name   string  `json:"name"`
	Weight float64 `json:"weight"`
}

// LoadTarget is the node as it describes itself.
type LoadTarget struct {
	// Network is tcp or unix.
	Network string `json:"network"`
	// Remote is true where the target is not on this machine.
	Remote bool `json:"remote"`
	// Version and Policy are the node's own, "" and 0 where it does not say.
	Version string `json:"version,omitempty"`
	Policy  int    `json:"policy,omitempty"`
}

// Segment is a piece of a schedule in which the rate changes evenly.
type Segment struct {
	Seconds float64 `json:"seconds"`
	// From and To are requests per second at its ends.
	From float64 `json:"from_per_second"`
	To   float64 `json:"to_per_second"`
}
