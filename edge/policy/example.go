package policy

import _ "embed"

// Example is the text of the built-in example policy: for trying out, with one
// market that requires nothing. A node without a policy of its own starts with
// it and says so. It is read-only.
//
//go:embed example.yaml
var Example []byte
