package access

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

var made = time.Date(2026, 11, 22, 3, 20, 46, 123, time.UTC)

// makeKey makes a key that must have no fault.
func makeKey(t testing.TB, k Key) (Key, string) {
	t.Helper()
	k, text, err := Make(k, made)
	if err != nil {
		t.Fatal(err)
	}
	return k, text
}

// fileOf is a file with these keys.
func fileOf(t testing.TB, keys ...Key) *File {
	t.Helper()
	f, err := New(), error(nil)
	for _, k := range keys {
		if f, err = f.Add(k); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// A key is let in with its properties; anything that is not exactly it is not.
func TestCheck(t *testing.T) {
	k, text := makeKey(t, Key{Client: "shop", Roles: Bid | CRM, Rate: 5, Burst: 7})
	other, otherText := makeKey(t, Key{Client: "dpo", Roles: Privacy})
	old, oldText := makeKey(t, Key{Client: "dpo", Roles: Ops})
	f, err := fileOf(t, k, other, old).Revoke(old.ID, made.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	g := NewGate(f)
	for shown, want := range map[string]Verdict{
		text: LetIn, otherText: LetIn, oldText: Revoked, "": Missing,
		" " + text: Malformed, text + " ": Malformed, text + "\n": Malformed, text[:63]: Malformed, text + "a": Malformed,
		strings.ToUpper(text): Malformed, "rk_" + text[3:11] + " " + text[12:]: Malformed, "sk_" + text[3:]: Malformed,
		strings.Repeat("a", 16<<10): Malformed, text[:20] + "\x00" + text[21:]: Malformed, text[:20] + "é" + text[22:]: Malformed,
		"rk_" + other.ID + text[11:]:                   Unknown, // another's id
		"rk_aaaaaaaa" + text[11:]:                      Unknown,
		text[:12] + strings.Repeat("a", 52):            Unknown,
		"rk_" + old.ID + "_" + strings.Repeat("a", 52): Unknown, // of a revoked key, only the id
		lastChanged(text):                              Unknown,
	} {
		if want == Unknown && (shown == text || len(shown) != KeyBytes) {
			t.Fatalf("%q tries nothing", shown)
		}
		caller, got := g.Check([]byte(shown))
		if got != want || (caller != nil) != (got == LetIn || got == Revoked) {
			t.Errorf("%q: %v, want %v (%v)", shown, got, want, caller)
		}
	}
	caller, _ := g.Check([]byte(text))
	if caller.ID != k.ID || caller.Client != "shop" || caller.Roles != Bid|CRM || caller.Reasons || caller.Rate != 5 || caller.Burst != 7 {
		t.Errorf("caller %+v", caller.Key)
	}
	if caller, _ := g.Check([]byte(otherText)); !caller.Reasons {
		t.Error("a privacy key sees no reasons")
	}
	if caller, _ := g.Check([]byte(oldText)); !caller.Revoked.Equal(made.Add(time.Hour).Truncate(time.Second)) {
		t.Errorf("revoked at %v", caller.Revoked)
	}
}

// lastChanged is a key with another last character.
func lastChanged(key string) string {
	if strings.HasSuffix(key, "a") {
		return key[:len(key)-1] + "q"
	}
	return key[:len(key)-1] + "a"
}

// What is stored is the SHA-256 of the secret's characters, and nothing of the file
// or of a message holds the secret.
func TestSecretIsNowhere(t *testing.T) {
	k, text := makeKey(t, Key{Client: "shop", Roles: Bid})
	f := fileOf(t, k)
	secret := text[12:]
	sum := sha256.Sum256([]byte(secret))
	if !strings.Contains(string(f.Text()), "sha256="+hex.EncodeToString(sum[:])) {
		t.Errorf("no hash in the file:\n%s", f.Text())
	}
	if strings.Contains(string(f.Text()), secret) || strings.Contains(fmt.Sprintf("%v %+v %#v", k, f.Keys, NewGate(f).Callers()[0]), secret) {
		t.Error("the secret is in the file or in what is printed")
	}
	// Where somebody pastes the key instead of a name of it.
	for _, line := range []string{"id=" + text, "client=" + text, "roles=" + text, "rate=" + text, text + "=1", text, "sha256=" + text, "sha256=" + secret, "reasons=" + secret, "made=" + text} {
		_, err := Parse([]byte(header+"\n"+line+"\n"+footer+"\n"), "keys")
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%.20s: %v", line, err)
		}
	}
	if _, err := f.Revoke(text, made); err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("revoke by the key: %v", err)
	}
	if IDOf(text) != k.ID || IDOf(k.ID) != k.ID {
		t.Errorf("id of the key: %q", IDOf(text))
	}
	if !HoldsKey([]byte("a=b&key="+text)) || HoldsKey([]byte("a=b&campaign=rk_one")) {
		t.Error("HoldsKey")
	}
}

// Keys of one making are all different, 64 characters, and read back as they were made.
func TestMake(t *testing.T) {
	seen := map[string]bool{}
	f := New()
	for i := range 200 {
		want := Key{Client: fmt.Sprintf("c-%d", i), Roles: 1 + Roles(i)%allRoles, Reasons: i%3 == 0, Rate: i % 4 * 1000, Burst: 0}
		k, text := makeKey(t, want)
		if len(text) != KeyBytes || seen[k.ID] || seen[text[12:]] {
			t.Fatalf("%q is short, or had before", text)
		}
		seen[k.ID], seen[text[12:]] = true, true
		want.ID, want.Made, want.hash, want.Burst = k.ID, made.Truncate(time.Second), k.hash, want.Rate
		want.Reasons = want.Reasons || want.Roles&(Privacy|Ops) != 0
		var err error
		if f, err = f.Add(k); err != nil || k != want {
			t.Fatalf("%v: %+v, want %+v", err, k, want)
		}
	}
	again, err := Parse(f.Text(), "keys")
	if err != nil || !slices.Equal(again.Keys, f.Keys) || len(again.Keys) != 200 {
		t.Errorf("read back: %v, %d keys", err, len(again.Keys))
	}
	for _, k := range []Key{
		{Client: "a b", Roles: Bid},
		{Client: "", Roles: Bid},
		{Client: strings.Repeat("a", 65), Roles: Bid},
		{Client: "a\nend", Roles: Bid},
		{Client: "a"},
		{Client: "a", Roles: Bid, Rate: MaxRate + 1},
		{Client: "a", Roles: Bid, Rate: -1},
		{Client: "a", Roles: Bid, Burst: 5},
		{Client: "a", Roles: Bid, Rate: 5, Burst: MaxBurst + 1},
	} {
		if made, text, err := Make(k, made); err == nil || text != "" {
			t.Errorf("%+v was made: %+v", k, made)
		}
	}
}

func TestRoles(t *testing.T) {
	for r := Roles(1); r <= allRoles; r++ {
		if again, err := ParseRoles(r.String()); err != nil || again != r {
			t.Errorf("%q: %v, %v", r, again, err)
		}
	}
	for _, text := range []string{"", "bid,", ",", "bid,bid", "Bid", "bid crm", "admin", "bid, crm"} {
		if r, err := ParseRoles(text); err == nil {
			t.Errorf("%q is read as %v", text, r)
		}
	}
	if got := strings.Join(allRoles.Names(), " "); got != "bid crm privacy ops metrics" || AllRoles() != "bid,crm,privacy,ops,metrics" {
		t.Errorf("roles %q", got)
	}
}

// A client has two keys in force at most, however many were revoked.
func TestTwoActiveKeys(t *testing.T) {
	one, _ := makeKey(t, Key{Client: "shop", Roles: Bid})
	two, _ := makeKey(t, Key{Client: "shop", Roles: CRM})
	three, _ := makeKey(t, Key{Client: "shop", Roles: Bid})
	f := fileOf(t, one, two)
	if _, err := f.Add(three); !errors.Is(err, ErrTwoActive) || !strings.Contains(err.Error(), `"shop"`) {
		t.Errorf("a third key: %v", err)
	}
	f, err := f.Revoke(one.ID, made)
	if err != nil {
		t.Fatal(err)
	}
	if f, err = f.Add(three); err != nil || f.Active() != 2 || len(f.Keys) != 3 {
		t.Errorf("after one was revoked: %v", err)
	}
	if _, err := f.Revoke(one.ID, made); !errors.Is(err, ErrRevoked) || !strings.Contains(err.Error(), "2026-11-22T03:20:46Z") {
		t.Errorf("revoked twice: %v", err)
	}
	if _, err := f.Revoke("aaaaaaaa", made); !errors.Is(err, ErrNoKey) {
		t.Errorf("revoked nobody: %v", err)
	}
}

// Changes leave what people wrote in the file where it stands.
func TestChangesKeepComments(t *testing.T) {
	one, _ := makeKey(t, Key{Client: "one", Roles: Bid})
	text := "# ours\r\n\n" + header + "\n# the shop\n   " + one.line() + "  \r\n\n# the last line:\nend\n# bye"
	f, err := Parse([]byte(text), "keys")
	if err != nil {
		t.Fatal(err)
	}
	two, _ := makeKey(t, Key{Client: "two", Roles: Bid})
	if f, err = f.Add(two); err != nil {
		t.Fatal(err)
	}
	if f, err = f.Revoke(one.ID, made); err != nil {
		t.Fatal(err)
	}
	want := "# ours\r\n\n" + header + "\n# the shop\n   " + one.line() + " revoked=2026-11-22T03:20:46Z\n\n# the last line:\n" + two.line() + "\nend\n# bye"
	if string(f.Text()) != want {
		t.Errorf("%q\nwant\n%q", f.Text(), want)
	}
}
