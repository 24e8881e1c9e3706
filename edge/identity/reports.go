package identity

import (
	"encoding/binary"

	"github.com/minio/highwayhash"
)

// Reports makes the identities of what people report about campaigns, and what stands
// in a report for the person. All are HighwayHash-64 under a subkey of the secret, of
//
//	1 byte   what it is the hash of
//	8 bytes  tag of the campaign, little endian
//	1 byte   the kind of report; 0 for a person
//	8 bytes  the day, or the token's nonce, little endian; 0 for an id
//	...      the user key, or the id as reported
//
// None is ever 0. It is safe for concurrent use and does not allocate for ids of up to
// 1,024 bytes.
type Reports struct {
	key hidden[[32]byte]
}

// NewReports returns the reports of the secret's cluster.
func NewReports(s Secret) *Reports {
	return &Reports{key: hide([32]byte(s.derive("reports", 32)))}
}

// What a hash is of. The numbers never change.
const (
	reportNamed    = 1
	reportByToken  = 2
	reportByPerson = 3
	reportPerson   = 4
)

// Named is the identity of a report that came with an id. The id is not kept.
func (r *Reports) Named(campaign uint64, kind byte, id []byte) uint64 {
	return r.sum(reportNamed, campaign, kind, 0, id)
}

// ByToken is the identity of a report that came by a token; nonce is Grant.Nonce.
func (r *Reports) ByToken(campaign uint64, kind byte, nonce uint64) uint64 {
	return r.sum(reportByToken, campaign, kind, nonce, nil)
}

// ByPerson is the identity of a report that has neither: one for each person, campaign,
// kind and day.
func (r *Reports) ByPerson(campaign uint64, kind byte, day uint32, person Key) uint64 {
	return r.sum(reportByPerson, campaign, kind, uint64(day), person[:])
}

// Person stands for a person in reports about one campaign on one day: those of another
// campaign or day cannot be told to be of the same person without the secret and the key.
func (r *Reports) Person(campaign uint64, day uint32, person Key) uint64 {
	return r.sum(reportPerson, campaign, 0, uint64(day), person[:])
}

func (r *Reports) sum(of byte, campaign uint64, kind byte, number uint64, rest []byte) uint64 {
	var buf [18 + 1024]byte
	b := append(buf[:0], of)
	b = binary.LittleEndian.AppendUint64(b, campaign)
	b = append(b, kind)
	b = binary.LittleEndian.AppendUint64(b, number)
	b = append(b, rest...)
	return notZero(highwayhash.Sum64(b, r.key.get()[:]))
}
