package edge

// Arm is the part of the users that a request belongs to while a policy is tried
// out, by a hash of the person's primary identifier.
type Arm uint8

const (
	ArmAll     Arm = iota // no policy is being tried out
	ArmBefore             // under the policy before the one that is tried out
	ArmPilot              // under the policy that is tried out
	ArmHoldout            // never shown what is chosen for them
	arms
)

var armNames = [arms]string{ArmAll: "all", ArmBefore: "before", ArmPilot: "pilot", ArmHoldout: "holdout"}

// String is the arm's name in reports and metrics.
func (a Arm) String() string { return armNames[a] }
