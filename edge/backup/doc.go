// Package backup is the form of the file that restraint snapshot export writes: one stream of bytes that describes itself and proves itself
// whole. It knows nothing of what is in its sections.
//
// Numbers are little-endian, checksums CRC-32C (Castagnoli), sums SHA-256.
//
//	head    0  8  magic "rstrbkup"
//	        8  4  version, 1
//	       12  4  n, at most 64 KiB
//	       16  n  the Head as JSON
//	     16+n  4  checksum of all before
//	frame   0  1  what it is
//	        1  4  n, at most 1 MiB
//	        5  4  checksum of the 5 bytes before and of what follows
//	        9  n  by what it is:
//	              's'  a section begins: 1 length of its kind, the kind, its name
//	              'd'  some of the section: AES-256-GCM of at least one byte, its nonce the place of the frame in the file, kind and name of the
//	                   section authenticated with it
//	              'e'  the section ends: 8 the length of its 'd' as they stand there, 32 their sum
//	              'z'  the file ends: 8 number of sections, 8 length of all before this frame, 32 the sum of that, 16 the tag of AES-256-GCM of
//	                   nothing with the 48 bytes before authenticated
//
// So whoever has no key can tell whether a file is as it was written by accident, and whoever has it whether anybody altered it, took a section
// out or put two files together. Heads, kinds and names are in clear. The key is of one file: its salt is in the Head.
//
// A file without its last frame is not whole, whatever ended it. No length is believed before it was compared with its bound, and nothing is
// allocated for more than one frame; so a Writer writes without knowing what comes, and a Reader reads what it cannot hold.
package backup
