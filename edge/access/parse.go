package access

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxClient is the length of a client's name, in bytes. Chosen.
const maxClient = 64

// parseKey reads one line of a key and returns what is wrong with it, every fault; the
// fields without fault are set.
func parseKey(line string) (k Key, faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	seen := map[string]bool{}
	reasons := ""
	for field := range strings.FieldsSeq(line) {
		name, value, ok := strings.Cut(field, "=")
		if !ok {
			fault("%q is no field: write name=value", redact(field))
			continue
		}
		if seen[name] {
			fault("%s: stands twice in the line", redact(name))
			continue
		}
		seen[name] = true
		var err error
		if name == "reasons" {
			if reasons = value; value != "yes" && value != "no" {
				err = fmt.Errorf("%q is neither yes nor no", redact(value))
			}
		} else {
			err = k.set(name, value)
		}
		if err != nil {
			fault("%s: %v", redact(name), err)
		}
	}
	for _, name := range []string{"id", "client", "roles", "made", "sha256"} {
		if !seen[name] {
			fault("%s: missing", name)
		}
	}
	k.Reasons = reasons == "yes" || k.Roles&seesReasons != 0
	if reasons == "no" && k.Reasons {
		fault("reasons: no, and the roles %s see them by what they are for: leave it out, or the role", k.Roles&seesReasons)
	}
	switch {
	case seen["burst"] && !seen["rate"]:
		fault("burst: without a rate there is nothing to burst: set rate too")
	case !seen["burst"]:
		k.Burst = k.Rate
	}
	return k, faults
}

// set gives a field its value.
func (k *Key) set(name, value string) (err error) {
	switch name {
	case "id":
		if len(value) != idBytes || !isBase32(value) {
			return fmt.Errorf("%q is no id: %d of a-z and 2-7", redact(value), idBytes)
		}
		k.ID = value
	case "client":
		if err = checkClient(value); err == nil {
			k.Client = value
		}
	case "roles":
		k.Roles, err = ParseRoles(value)
	case "rate":
		k.Rate, err = parseCount(value, MaxRate)
	case "burst":
		k.Burst, err = parseCount(value, MaxBurst)
	case "made":
		k.Made, err = parseTime(value)
	case "revoked":
		k.Revoked, err = parseTime(value)
		if err != nil {
			k.Revoked = time.Unix(0, 0) // whatever the time: not active
		}
	case "sha256":
		// The value is not repeated: where a secret is written by mistake it stays here.
		b, failed := hex.DecodeString(value)
		if failed != nil || len(b) != len(k.hash) || value != strings.ToLower(value) {
			return fmt.Errorf("these %d characters are no hash: 64 hexadecimal digits in lower case", len(value))
		}
		copy(k.hash[:], b)
	default:
		return fmt.Errorf("there is no such field: id, client, roles, reasons, rate, burst, made, sha256, revoked")
	}
	return err
}

func checkClient(name string) error {
	ok := len(name) >= 1 && len(name) <= maxClient
	for i := range len(name) {
		c := name[i]
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-')
	}
	if !ok || HoldsKey([]byte(name)) {
		return fmt.Errorf("%q is no name of a client: 1 to %d of a-z A-Z 0-9 . _ -", redact(name), maxClient)
	}
	return nil
}

func parseCount(text string, most int) (int, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n < 1 || n > uint64(most) {
		return 0, fmt.Errorf("%q is not a whole number from 1 to %d", redact(text), most)
	}
	return int(n), nil
}

func parseTime(text string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || t.Year() < 1970 {
		return time.Time{}, fmt.Errorf("%q is not a time: write it as 2026-11-22T03:20:46Z", redact(text))
	}
	return t.UTC(), nil
}
