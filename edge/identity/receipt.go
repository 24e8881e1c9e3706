package identity

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
)

// ErrReceipt says that a receipt was not made by this cluster, or changed since.
var ErrReceipt = errors.New("this is no receipt of this cluster")

// Receipt is what an erasure was: with it any node can say whether it has it, and
// nobody has to keep a list of who was erased.
type Receipt struct {
	// At is when it was accepted, Until what it reaches to, in Unix seconds.
	At, Until uint32
	// Keys are the person's, at most MaxTokenKeys.
	Keys []Key
}

// MaxReceiptBytes is the longest receipt that Append makes and Open looks at.
const MaxReceiptBytes = (receiptHead + receiptFixed + MaxTokenKeys*16 + gcmTagSize + 2) / 3 * 4

// The bytes of a receipt, before base64url without padding (RFC 4648, section 5):
//
//	 0    1  version, 1, and the epoch in which it is sealed: 1 is epoch 0
//	 1   12  nonce, random
//	13       AES-256-GCM of the body, the head authenticated with it; tag of 16 bytes at the end
//
// The body: 4 at, 4 until, big endian, then the keys of 16 bytes. The key is HKDF of
// the epoch's secret. Random nonces allow 2^32 receipts under one secret (NIST SP 800-38D, 8.3).
const (
	receiptVersion = 1
	receiptHead    = 1 + gcmNonceSize
	receiptFixed   = 4 + 4
)

// Receipts seals and opens the receipts of one cluster. Safe for concurrent use.
type Receipts struct{ epochs *Epochs }

// NewReceipts returns the receipts of the secret's cluster: sealed in the active epoch,
// opened in every one.
func NewReceipts(s Secret) *Receipts { return &Receipts{s.epochs} }

// aead is the cipher of an epoch. Receipts are few: it is made each time.
func (r *Receipts) aead(epoch int) (cipher.AEAD, error) {
	key, err := r.epochs.at(epoch, "erasure receipt")
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("BUG: receipt cipher: " + err.Error())
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("BUG: receipt cipher: " + err.Error())
	}
	return aead, nil
}

// Append seals the receipt and appends it: letters, digits, - and _. Nobody without
// the secret can read it. It panics on more than MaxTokenKeys keys.
func (r *Receipts) Append(dst []byte, x *Receipt) []byte {
	if len(x.Keys) > MaxTokenKeys {
		panic("BUG: a receipt for more keys than it can carry")
	}
	epoch := r.epochs.now.Load().active
	aead, err := r.aead(epoch)
	if err != nil {
		panic("BUG: the epoch in use has no secret")
	}
	head := make([]byte, receiptHead, MaxReceiptBytes)
	head[0] = receiptVersion + byte(epoch)
	_, _ = rand.Read(head[1:]) // never fails; it ends the process instead
	body := binary.BigEndian.AppendUint32(nil, x.At)
	body = binary.BigEndian.AppendUint32(body, x.Until)
	for i := range x.Keys {
		body = append(body, x.Keys[i][:]...)
	}
	return encoding.AppendEncode(dst, aead.Seal(head, head[1:], body, head))
}

// Open opens a receipt of any node of the cluster. The error is ErrReceipt.
func (r *Receipts) Open(receipt []byte) (x Receipt, err error) {
	if len(receipt) > MaxReceiptBytes {
		return x, ErrReceipt
	}
	b, err := encoding.AppendDecode(nil, receipt)
	// The decoder skips line breaks, so the length tells whether there were any.
	if err != nil || len(b) < receiptHead+receiptFixed+gcmTagSize || encoding.EncodedLen(len(b)) != len(receipt) || b[0] < receiptVersion {
		return x, ErrReceipt
	}
	aead, err := r.aead(int(b[0]) - receiptVersion)
	if err != nil {
		return x, ErrReceipt
	}
	body, err := aead.Open(nil, b[1:receiptHead], b[receiptHead:], b[:receiptHead])
	if err != nil || len(body) < receiptFixed || (len(body)-receiptFixed)%16 != 0 {
		return x, ErrReceipt
	}
	x.At, x.Until = binary.BigEndian.Uint32(body), binary.BigEndian.Uint32(body[4:])
	for body = body[receiptFixed:]; len(body) > 0; body = body[16:] {
		x.Keys = append(x.Keys, Key(body))
	}
	return x, nil
}
