package suppress

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Options are what a Store is opened with. Dir and Hash are required.
type Options struct {
	// Dir is the store's own directory; one Store at a time.
	Dir string
	// Fingerprint names the identifier secret behind Hash, in at most 32 bytes.
	// Files made under another one are refused: none of their keys would match.
	Fingerprint string
	// Seals are the epochs of that secret, the first of which has its fingerprint; nil:
	// there is no other, and nothing is sealed. Their fingerprints have 16 bytes.
	Seals Seals
	// Hash is the keyed hash of an identifier in its canonical form (Canonical).
	// It must be safe for concurrent use and must not keep id.
	Hash func(source string, id []byte) Key
	// Item is the tag of an item of a list (see ItemKey). Required for lists of items.
	Item func(list string, item []byte) uint64
	// Disk has the files; nil: that of the operating system, as they are.
	Disk Disk
	// Now is the clock of uploads and ages; nil means time.Now.
	Now func() time.Time

	// MaxRejected is the share of rejected rows above which an upload is refused,
	// 0 to 1: 0 refuses the first one.
	MaxRejected float64
	// MaxShrink is the share of members a replacement may lose without Import.Force,
	// 0 to 1: 0 refuses the loss of one.
	MaxShrink float64
	// MaxChanges is how many changed keys a list holds in memory (about 100 bytes
	// each); 0 means 1<<18. More are folded into the base by Change, and refused
	// by Apply until Compact.
	MaxChanges int
	// Limits bound one upload.
	Limits Limits
}

// Limits bound one upload; 0 means the default (all chosen).
type Limits struct {
	CompressedBytes int64         // as received; 20 GiB; ErrTooLarge
	Bytes           int64         // after decompression; 200 GiB; ErrExpanded
	Ratio           int64         // of the two, once 64 MiB are decompressed; 250; ErrRatio
	RowBytes        int           // one row or line; 64 KiB; ErrRowTooLong
	Time            time.Duration // from the first byte to the last; 6 h; ErrTooSlow, at the next byte that comes
}

func (o Options) withDefaults() (Options, error) {
	var faults []error
	if o.Dir == "" {
		faults = append(faults, errors.New(`dir "" names no directory: set Options.Dir`))
	}
	if o.Hash == nil {
		faults = append(faults, errors.New("no hash: set Options.Hash"))
	}
	if len(o.Fingerprint) > fingerprintSize {
		faults = append(faults, fmt.Errorf("fingerprint %q has more than %d bytes", o.Fingerprint, fingerprintSize))
	}
	share := func(name string, v float64) {
		if !(v >= 0 && v <= 1) {
			faults = append(faults, fmt.Errorf("%s %g is not a share from 0 to 1", name, v))
		}
	}
	share("max_rejected", o.MaxRejected)
	share("max_shrink", o.MaxShrink)
	standard(&o.MaxChanges, 1<<18)
	standard(&o.Limits.CompressedBytes, 20<<30)
	standard(&o.Limits.Bytes, 200<<30)
	standard(&o.Limits.Ratio, 250)
	standard(&o.Limits.RowBytes, 64<<10)
	standard(&o.Limits.Time, 6*time.Hour)
	if o.MaxChanges < 0 || o.MaxChanges > maxFrameKeys {
		faults = append(faults, fmt.Errorf("max changes %d is not between 1 and %d", o.MaxChanges, maxFrameKeys))
	}
	if o.Limits.CompressedBytes < 0 || o.Limits.Bytes < 0 || o.Limits.Ratio < 0 || o.Limits.RowBytes < 0 || o.Limits.Time < 0 {
		faults = append(faults, fmt.Errorf("limits %+v: one is negative", o.Limits))
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Disk == nil {
		o.Disk = asIs{}
	}
	return o, errors.Join(faults...)
}

func standard[T ~int | ~int64](v *T, standard T) {
	if *v == 0 {
		*v = standard
	}
}

// Declaration is a list as the policy declares it.
type Declaration struct {
	// Name has 1 to 128 bytes and no slash, and is neither "." nor ".." (ErrName):
	// it is a segment of a path wherever a list is spoken of.
	Name string
	// Sources are those whose identifiers may be members, e.g. email_sha256, user.id.
	Sources []string
	// Items says that a member is an identifier and an item (a purchase history).
	Items bool
	// Filter is FilterBloom or FilterFuse; "" means FilterBloom.
	Filter string
	// Rate is the share of strangers that may be taken for members, 1e-9 to 0.1; 0 means DefaultRate.
	Rate float64
	// Exact settles each filter hit in the key file: one pread of 4 KiB.
	Exact bool
	// MaxAge is the age of the last upload at which the list is stale; 0 means never.
	MaxAge time.Duration
}

const maxNameBytes = 128

func checkName(name string) error {
	if name == "" || len(name) > maxNameBytes {
		return fmt.Errorf("%w: the name %q has not 1 to %d bytes", ErrName, name, maxNameBytes)
	}
	if name == "." || name == ".." || strings.Contains(name, "/") {
		return fmt.Errorf("%w: %q is a path; give it a name without slash or dots only", ErrName, name)
	}
	return nil
}

func (d Declaration) withDefaults() (Declaration, error) {
	if d.Filter == "" {
		d.Filter = FilterBloom
	}
	if d.Rate == 0 {
		d.Rate = DefaultRate
	}
	var faults []error
	if err := checkName(d.Name); err != nil {
		faults = append(faults, err)
	}
	if len(d.Sources) == 0 {
		faults = append(faults, fmt.Errorf("list %q names no source: write id: [email_sha256]", d.Name))
	}
	if d.Filter != FilterBloom && d.Filter != FilterFuse {
		faults = append(faults, fmt.Errorf("list %q: filter %q is neither %q nor %q", d.Name, d.Filter, FilterBloom, FilterFuse))
	}
	if !(d.Rate >= minRate && d.Rate <= maxRate) {
		faults = append(faults, fmt.Errorf("list %q: false-positive rate %g is not between %g and %g", d.Name, d.Rate, minRate, maxRate))
	}
	if d.MaxAge < 0 {
		faults = append(faults, fmt.Errorf("list %q: max_age %q is negative", d.Name, d.MaxAge))
	}
	return d, errors.Join(faults...)
}
