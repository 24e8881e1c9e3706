// Package access says who may ask a node for what: keys, their roles, and the file
// they are kept in.
//
// # Keys
//
// A key is 64 characters, rk_ID_SECRET:
//
//	| part   | characters | what it is |
//	|--------|------------|------------|
//	| rk_    | 3          | marks it, so that scanners of repositories and logs find one that got out |
//	| ID     | 8          | a name for logs, errors and the list of keys; not secret |
//	| _      | 1          | |
//	| SECRET | 52         | 32 random bytes in base32 (RFC 4648, lower case, no padding) |
//
// The secret is shown once, when the key is made. The file has its SHA-256 alone.
// That is enough: slow hashes and salts are for what people think up, which can be
// guessed by trying what people think up. Nobody tries out 2^256 secrets however fast
// the hash is, and a fast one costs each request a few hundred nanoseconds (the 52
// characters and the padding of SHA-256 fit one block).
//
// # The file
//
// Text, a key a line, in fields of name=value with blanks between them, in any order:
//
//	restraint-keys 1
//	# comments and empty lines may stand anywhere
//	id=k3x5q2ab client=ad-server roles=bid rate=50000 made=2026-11-22T03:20:46Z sha256=9f86d0...
//	id=w7c2mmq4 client=dpo roles=privacy made=2026-11-22T03:21:07Z sha256=2c26b4... revoked=2026-12-01T00:00:00Z
//	end
//
//	| field   | value |
//	|---------|-------|
//	| id      | of the key; unique in the file, also among revoked keys |
//	| client  | who has it: 1 to 64 of a-z A-Z 0-9 . _ - |
//	| roles   | with commas between them: bid crm privacy ops metrics |
//	| reasons | yes or no: may see why a candidate was skipped. Yes for ops and privacy, else no unless written |
//	| rate    | requests a second, 1 to 1,000,000; no limit unless written |
//	| burst   | requests at once, 1 to 10,000,000; those of one second unless written |
//	| made    | when, RFC 3339 |
//	| sha256  | of the 52 characters of the secret, 64 hexadecimal digits |
//	| revoked | when, RFC 3339; the key is kept, so that its id is never another's and its holder is told |
//
// The metrics count each reason, so whoever may ask for decisions and read the metrics
// of a quiet node can see a reason in what moves: give those two roles to different
// people.
//
// The last line is "end": a file that was cut off anywhere is refused, since which keys
// were lost with its tail nobody can say. A client has at most two keys that are not
// revoked, the old one and the new one while it changes over.
//
// A file that others may read, or its group may write, is refused; its group may read
// it, as service managers hand files over like that.
//
// # Checking
//
// [Gate] is what a node asks for each request: it allocates nothing, takes no lock, and
// is replaced as a whole. [Failures] notes who keeps coming with wrong keys.
package access
