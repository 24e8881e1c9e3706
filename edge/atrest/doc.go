// Package atrest encrypts what a node keeps on its disk, under a key that lies elsewhere.
//
// A Disk opens files; a File reads and writes content, which is sealed on its way to the
// disk. Offsets and sizes are those of the content, so whoever uses a File needs to know
// nothing of this package. A nil *Disk opens files as they are.
//
// A sealed file is a head and frames. Numbers are big-endian.
//
//	head    0   8  magic "restseal"
//	        8   4  version: 1
//	       12   4  zero
//	       16   8  fingerprint of the key
//	       24  16  salt, random, of this file
//	       40  16  first half of HMAC-SHA-256 over the 40 bytes before and the file's path
//	               below the Disk's folder, with / between its parts
//	frame   0   8  place of the first byte in the content
//	        8   4  bytes of content, 0 to 4096; the highest bit is set in the last frame of
//	               a file that was written whole
//	       12   4  CRC-32C of the 12 bytes before
//	       16  12  nonce, random
//	       28      the content under AES-256-GCM, with the first 12 bytes of the frame
//	               authenticated, and a tag of 16 bytes
//
// Keys are derived by HKDF-SHA-256 (RFC 5869): one for each file, with its salt, and one
// for all heads. A nonce is drawn for each frame, also of one that is written again, so
// nothing depends on what a process that died remembered: a file of 2^32 frames (16 TiB)
// is where the bound of NIST SP 800-38D on random nonces stands.
//
// Each write begins a frame, and frames are only added. What a process that died left of a
// frame, or what was changed on the disk, reads as as many zero bytes and is reported with
// ErrDamaged; all before and after it reads as it was, and File.Unfinished tells the one
// from the other. Whoever keeps a log cuts or sets
// aside what those zeros stand for, as it would after a fault of the disk.
//
// Threat model. Somebody has the disk, or a copy of it, at one time or at several, and not
// the key:
//
//   - They read no content. They see names of files and folders, sizes, times, and how
//     long each write was; so names of lists and nodes, and how much there is of what.
//   - A byte that was changed, a frame that was moved, taken out, doubled or put into
//     another file, and a file that was put in the place of another are noticed when they
//     are read.
//   - Where they can write too, not noticed by this package: a file or a folder put back
//     to an older copy of itself, a file that was removed, and frames that are missing at
//     the end of a file that grows. The audit record's heads notice it of the record.
//   - The memory of the process, and a swap partition, are not protected.
package atrest
