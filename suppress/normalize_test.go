package suppress

import (
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

// vectorScheme is the scheme that a set of vectors is about. The SDKs of Meta,
// TikTok's examples and hashes without a scheme have rules of their own.
var vectorScheme = map[string]string{
	"uid2": SchemeUID2, "google": SchemeGoogle, "meta": SchemeMeta, "liveramp-segment": SchemeLiveRamp,
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
	var file struct{ Vectors []vector }
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	ran, other := 0, make(map[string]int)
	for _, v := range file.Vectors {
		scheme, ok := vectorScheme[v.Scheme]
		input := ""
		if v.Input != nil {
			input = *v.Input
		}
		switch {
		case ok && (v.Kind == "email" || v.Kind == "phone"):
			checkRaw(t, scheme, v, input)
		case ok && (v.Kind == "email_hash" || v.Kind == "prehashed"):
			checkHash(t, scheme, v, input)
		default:
			other[v.Scheme+" "+v.Kind]++
			continue
		}
		ran++
	}
	if ran < 100 {
		t.Fatalf("only %d vectors were for us", ran)
	}
	t.Logf("%d vectors; not ours: %v", ran, other)
}

func checkRaw(t *testing.T, scheme string, v vector, input string) {
	t.Helper()
	if looksHashed([]byte(strings.TrimSpace(input))) {
		checkHash(t, scheme, v, input)
		return
	}
	by := normalEmail
	if v.Kind == "phone" {
		by = normalPhone
	}
	got, err := by(nil, scheme, []byte(input))
	if input == "" {
		got, err = normalize(nil, scheme, v.Kind+hashSuffix, nil)
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
	hashed, err := normalize(nil, scheme, v.Kind+hashSuffix, []byte(input))
	sum := sha256.Sum256(got)
	if err == nil && string(hashed) != hex.EncodeToString(sum[:]) {
		t.Errorf("%s %s %q: the member is %s", v.Scheme, v.Kind, input, hashed)
	}
	if v.Valid && err != nil && v.Kind == "email" {
		t.Errorf("%s %s %q: an upload refuses it: %v", v.Scheme, v.Kind, input, err)
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
	got, err := normalize(nil, scheme, kind+hashSuffix, []byte(input))
	if strings.EqualFold(input, hashOfNothing) {
		if err != errNothing {
			t.Errorf("%q: got %q, %v", input, got, err)
		}
		return
	}
	valid := v.Valid || looksHashed([]byte(input)) && v.Kind != "email_hash" && scheme == SchemeMeta
	if scheme == SchemeUID2 && v.Kind == "phone" && looksHashed([]byte(input)) {
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
		{SchemeGoogle, "phone_sha256", "d41d8cd98f00b204e9800998ecf8427e", "", errMD5},
		{SchemeMeta, "phone_sha256", "HELP", "", errPhoneLength},
		{SchemeMeta, "phone_sha256", "0044 20 7946 0958", hash("442079460958"), nil},
		{SchemeLiveRamp, "phone_sha1", "+1 555 123 4567", hash1("5551234567"), nil},
		{SchemeGoogle, "email_sha256", "0x" + hash("a"), "", errPrefix},
		{SchemeGoogle, "email_sha256", hashOfNothing, "", errNothing},
	} {
		got, err := normalize(nil, c.scheme, c.source, []byte(c.id))
		if err != c.err || string(got) != c.want {
			t.Errorf("%s %s %q: got %q, %v", c.scheme, c.source, c.id, got, err)
		}
	}
}
