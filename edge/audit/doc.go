// Package audit keeps the record of a node: every change that somebody, or something,
// made to its policy, lists, keys and people's choices, in files that only grow.
//
// Files. DIR/NNNNNNNNNNNNNNNN.jsonl, named by the number of its first entry; one entry a
// line, as JSON. A file that has grown to Options.FileBytes is followed by the next, and
// none is removed here.
//
// A line, in this order:
//
//	{"seq":7,"at":"2027-01-31T10:00:00.123456789Z","action":"policy.put","who":{"by":"key","key":"abcd2345","client":"me","roles":"ops"},
//	 ...what it is about, before, after, why...,"prev":"64 hex digits","mac":"64 hex digits"}
//
// Chain. mac is HMAC-SHA-256 under the chain's key of the bytes of the line before
// `,"mac"`, among which prev is the mac of the entry before (of the first: none). So who
// lacks the key can change, remove or reorder no entry without Verify naming the first
// that is wrong. The key is a subkey of the secret that all nodes share.
//
// Heads. A chain says nothing of entries that were cut off its end, and whoever has the
// key can write another chain. So each log has a key pair of its own (Ed25519, RFC 8032;
// the private part stays in DIR/signing.key and is derived from nothing that another node
// has), and signs heads: "my entry 41 has this mac". A head kept elsewhere (the cluster,
// the other nodes' disks, an auditor) proves that entries 1 to 41 are as they were, also
// against who has both keys, and says how many are missing from a log that is shorter.
//
// Options.Open may encrypt the files. The chain is over the entries themselves, so it holds
// either way; Verify and ReadDir are given what opens them.
//
// Writing. An entry is on disk (fsync) when Append returns. Entries that are appended
// while another is being written share one write and one fsync. What a process that died
// left of a line is set aside in a file of its own at the next start, and an entry says so.
//
// Nothing here knows who is meant: the caller gives people as keyed digests.
package audit
