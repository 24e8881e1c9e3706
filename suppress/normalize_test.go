package suppress

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

const vectorsPath = "../../shared/data/identifiers.json"

// vectorsOf says how many vectors of a set and kind there are, and how they are
// held: by the normaliser of a scheme, as hashes, or as texts to be hashed. The
// others are names, places and the like, which are no identifiers.
var vectorsOf = map[string]struct {
	count  int
	scheme string
	check  func(t *testing.T, scheme string, v vector, input string)
}{
	"uid2 email":             {26, SchemeUID2, checkRaw},
	"uid2 phone":             {15, SchemeUID2, checkRaw},
	"uid2 email_hash":        {5, SchemeUID2, checkHash},
	"uid2 phone_raw":         {1, SchemeUID2, checkRefused}, // is of a country that is not said
	"google email":           {10, SchemeGoogle, checkRaw},
	"google phone":           {7, SchemeGoogle, checkRaw},
	"meta email":             {39, SchemeMeta, checkRaw},
	"meta phone":             {51, SchemeMeta, checkRaw},
	"meta prehashed":         {2, SchemeMeta, checkHash},
	"meta-php-sdk email":     {3, SchemeMeta, checkRefused}, // strips what Meta's own normaliser refuses
	"meta-php-sdk phone":     {2, SchemeMeta, checkRaw},
	"meta-python-sdk email":  {3, SchemeMeta, checkRaw},
	"tiktok email":           {1, SchemeMeta, checkRaw},
	"liveramp-segment email": {1, SchemeLiveRamp, checkRaw},
	"liveramp-segment phone": {3, SchemeLiveRamp, checkRaw},
	"sha256 raw":             {3, "", checkText},
	"google family_name":     {count: 5}, "google given_name": {count: 4}, "google postal_code": {count: 1}, "google region_code": {count: 1},
	"meta country": {count: 4}, "meta ct": {count: 10}, "meta fn": {count: 7}, "meta gender": {count: 14}, "meta ln": {count: 5}, "meta st": {count: 8},
	"meta zip": {count: 5}, "meta-php-sdk country": {count: 1}, "meta-php-sdk ct": {count: 1}, "meta-php-sdk zip": {count: 1},
}

type vector struct {
	Scheme, Kind string
	Input        *string
	Valid        bool
	Expected     struct {
		Normalized   *string
		SHA256Hex    string `json:"sha256_hex"`
		SHA256Base64 string `json:"sha256_base64"`
	}
}

// TestVectors holds the normalisers to what the schemes' own code does.
func TestVectors(t *testing.T) {
	b, err := os.ReadFile(vectorsPath)
	if err != nil {
		t.Skipf("no vectors: %v", err)
	}
	var file struct {
		Count   int
		Vectors []vector
	}
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	ran := make(map[string]int)
	for _, v := range file.Vectors {
		of, input := v.Scheme+" "+v.Kind, ""
		if v.Input != nil {
			input = *v.Input
		}
		ran[of]++
		if set := vectorsOf[of]; set.check != nil {
			set.check(t, set.scheme, v, input)
		}
	}
	total := 0
	for of, set := range vectorsOf {
		if total += set.count; ran[of] != set.count {
			t.Errorf("%s: %d vectors, want %d", of, ran[of], set.count)
		}
	}
	if total != file.Count || total != len(file.Vectors) {
		t.Errorf("%d vectors were looked at, the file has %d and says %d", total, len(file.Vectors), file.Count)
	}
}

// checkRefused: a value that the set's own rules repair is refused, not guessed at.
func checkRefused(t *testing.T, scheme string, v vector, input string) {
	t.Helper()
	kind, _, _ := strings.Cut(v.Kind, "_")
	if got, err := normalize(nil, scheme, kind+"_sha256", []byte(input)); err == nil {
		t.Errorf("%s %s %q: got %q", v.Scheme, v.Kind, input, got)
	}
}

func checkText(t *testing.T, _ string, v vector, input string) {
	t.Helper()
	if got := digests[0].appendSum(nil, []byte(input)); string(got) != v.Expected.SHA256Hex {
		t.Errorf("%q: got %s, want %s", input, got, v.Expected.SHA256Hex)
	}
}

func checkRaw(t *testing.T, scheme string, v vector, input string) {
	t.Helper()
	if looksHashed(strings.TrimSpace(input)) {
		checkHash(t, scheme, v, input)
		return
	}
	by := normalEmail
	if v.Kind == "phone" {
		by = normalPhone
	}
	got, err := by(nil, scheme, []byte(input))
	if input == "" {
		got, err = normalize(nil, scheme, v.Kind+"_sha256", nil)
	}
	if (err == nil) != v.Valid {
		t.Errorf("%s %s %q: got %q, %v, want valid %v", v.Scheme, v.Kind, input, got, err, v.Valid)
		return
	}
	if want := v.Expected.Normalized; err == nil && want != nil && string(got) != *want {
		t.Errorf("%s %s %q: got %q, want %q", v.Scheme, v.Kind, input, got, *want)
	}
	checkSum(t, v, input, sha256.Sum256(got))
	// What an upload makes of it is the hash of that, or a refusal.
	hashed, err := normalize(nil, scheme, v.Kind+"_sha256", []byte(input))
	sum := sha256.Sum256(got)
	digits := len(strings.TrimPrefix(string(got), "+"))
	switch {
	case v.Kind == "phone" && v.Valid && (digits < 7 || digits > 15):
		if err != errPhoneLength {
			t.Errorf("%s phone %q: an upload makes %s of it, %v", v.Scheme, input, hashed, err)
		}
	case v.Valid != (err == nil):
		t.Errorf("%s %s %q: an upload makes %s of it, %v", v.Scheme, v.Kind, input, hashed, err)
	case err == nil && string(hashed) != hex.EncodeToString(sum[:]):
		t.Errorf("%s %s %q: the member is %s", v.Scheme, v.Kind, input, hashed)
	}
}

// checkHash: a value that is hashed already is taken as it is, and never again;
// uid2's hashes of another length are refused.
func checkHash(t *testing.T, scheme string, v vector, input string) {
	t.Helper()
	kind := emailPrefix
	if v.Kind == "phone" {
		kind = phonePrefix
	}
	got, err := normalize(nil, scheme, kind+"_sha256", []byte(input))
	if strings.EqualFold(input, hashOfNothing) {
		if err != errNothing {
			t.Errorf("%q: got %q, %v", input, got, err)
		}
		return
	}
	valid := v.Valid || looksHashed(input) && v.Kind != "email_hash" && scheme == SchemeMeta
	if scheme == SchemeUID2 && v.Kind == "phone" && looksHashed(input) {
		valid = true // raw phones are asked for there; here a hash is a hash
	}
	if (err == nil) != valid {
		t.Errorf("%s %s %q: got %q, %v, want valid %v", v.Scheme, v.Kind, input, got, err, valid)
	}
	if want := v.Expected.Normalized; err == nil && want != nil && string(got) != strings.ToLower(*want) {
		t.Errorf("%s %s %q: got %q, want %q", v.Scheme, v.Kind, input, got, *want)
	}
	if err == nil && v.Expected.SHA256Base64 != "" {
		var sum [32]byte
		if _, err := hex.Decode(sum[:], got); err != nil {
			t.Fatal(err)
		}
		checkSum(t, v, input, sum)
	}
}

func checkSum(t *testing.T, v vector, input string, sum [32]byte) {
	t.Helper()
	if want := v.Expected.SHA256Hex; want != "" && hex.EncodeToString(sum[:]) != want {
		t.Errorf("%s %s %q: got %x, want %s", v.Scheme, v.Kind, input, sum, want)
	}
	if want := v.Expected.SHA256Base64; want != "" && strings.TrimRight(base64.StdEncoding.EncodeToString(sum[:]), "=") != strings.TrimRight(want, "=") {
		t.Errorf("%s %s %q: got %x, want %s", v.Scheme, v.Kind, input, sum, want)
	}
}

// TestNormalize is what the vectors do not say.
func TestNormalize(t *testing.T) {
	hash := func(s string) string {
		sum := sha256.Sum256([]byte(s))
		return hex.EncodeToString(sum[:])
	}
	hash1 := func(s string) string {
		sum := sha1.Sum([]byte(s))
		return hex.EncodeToString(sum[:])
	}
	hashMD5 := func(s string) string {
		sum := md5.Sum([]byte(s))
		return hex.EncodeToString(sum[:])
	}
	for _, c := range []struct {
		scheme, source, id, want string
		err                      error
	}{
		{SchemeGoogle, "email_sha256", "J.Doe+x@GoogleMail.com ", hash("jdoe@googlemail.com"), nil},
		{SchemeUID2, "email_sha256", "J.Doe+x@googlemail.com", hash("j.doe+x@googlemail.com"), nil},
		{SchemeMeta, "email_sha256", "J.Doe+x@Gmail.com", hash("j.doe+x@gmail.com"), nil},
		{SchemeLiveRamp, "email_sha256", "j doe@example.com", hash("jdoe@example.com"), nil},
		{SchemeUID2, "email_sha256", strings.ToUpper(hash("a@b.c")), hash("a@b.c"), nil},
		{SchemeUID2, "email_sha256", "Ünï@Example.com", hash("ünï@example.com"), nil},
		{SchemeUID2, "user.id", " As Given ", "As Given", nil},
		{SchemeGoogle, "phone_sha256", "d41d8cd98f00b204e9800998ecf8427e", "", digests[2].errSeen},
		{SchemeMeta, "phone_sha256", "HELP", "", errPhoneLength},
		{SchemeMeta, "phone_sha256", "0044 20 7946 0958", hash("442079460958"), nil},
		{SchemeLiveRamp, "phone_sha1", "+1 555 123 4567", hash1("5551234567"), nil},
		{SchemeGoogle, "email_sha256", "0x" + hash("a"), "", errPrefix},
		{SchemeGoogle, "email_sha256", hashOfNothing, "", errNothing},
		{SchemeMeta, "phone_sha256", "1.23E+10", "", errShortened},
		{SchemeGoogle, "phone_sha256", "4,91711E+12", "", errShortened},
		{SchemeMeta, "phone_sha256", "4917112345678.0", "", errShortened},
		{None, "phone_sha256", "1.23E+10", "", errShortened},
		{None, "user.id", "1.23E+10", "", errShortened},
		{None, "user.id", "4711.0", "", errShortened},
		{None, "user.id", "E+10", "E+10", nil},
		{None, "user.id", "1.23E+10x", "1.23E+10x", nil},
		{None, "user.id", "12.5", "12.5", nil},
		{SchemeMeta, "phone_sha256", "anna1234567@example.com", "", errNoPhone},
		{None, "email_md5", "D41D8CD98F00B204E9800998ECF8427F", "d41d8cd98f00b204e9800998ecf8427f", nil},
		{None, "email_md5", "d41d8cd98f00b204e9800998ecf8427e", "", errNothing},
		{None, "email_md5", hash("a"), "", digests[0].errSeen},
		{None, "email_md5", "a@b.c", "", errPlainEmail},
		{None, "email_md5", "anything", "", digests[2].errNot},
		{SchemeMeta, "email_md5", "A@b.c", hashMD5("a@b.c"), nil},
		{SchemeMeta, "email_md5", hash("a"), "", digests[0].errSeen},
		{SchemeMeta, "email_md5", hashMD5("a@b.c"), hashMD5("a@b.c"), nil},
		{None, "phone_sha1", strings.ToUpper(hash1("a")), hash1("a"), nil},
		{None, "phone_sha1", hash("a"), "", digests[0].errSeen},
		{None, "phone_sha1", "da39a3ee5e6b4b0d3255bfef95601890afd80709", "", errNothing},
	} {
		got, err := normalize(nil, c.scheme, c.source, []byte(c.id))
		if err != c.err || string(got) != c.want {
			t.Errorf("%s %s %q: got %q, %v", c.scheme, c.source, c.id, got, err)
		}
	}
}

// looksHashed says that an input is a SHA-256 hash already.
func looksHashed(input string) bool { return seenAs([]byte(input)) == &digests[0] }

// TestNormalizeDoesNotAllocate: what a raw value becomes on its way to a hash is
// not left on the heap.
func TestNormalizeDoesNotAllocate(t *testing.T) {
	dst := make([]byte, 0, maxIdentifierBytes)
	for _, source := range []string{"email_sha256", "email_md5", "phone_sha1", "user.id", "ifa"} {
		for _, scheme := range Schemes() {
			f := formOf(scheme, source)
			for _, id := range []string{"J.Doe+x@gmail.com", "+49 171 1234567", "(555) 123-4567", sha256Hex("a"), "d41d8cd98f00b204e9800998ecf8427f", "u-1"} {
				raw := []byte(id)
				if n := testing.AllocsPerRun(20, func() { _, _ = f.append(dst[:0], raw) }); n != 0 {
					t.Errorf("%s %s %q: %v allocations", scheme, source, id, n)
				}
			}
		}
	}
}
