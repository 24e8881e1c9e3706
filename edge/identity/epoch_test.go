package identity

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var testMade = time.Date(2026, 11, 22, 7, 0, 0, 0, time.UTC)

// rotated is a secret with so many epochs after the first; the last is active.
func rotated(t testing.TB, first byte, epochs int) Secret {
	t.Helper()
	s := testSecret(t, first)
	for i := range epochs {
		var err error
		if s, err = s.withEpoch(bytes.Repeat([]byte{byte(100 + i)}, SecretSize), testMade); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Epochs().Activate(s.Epochs().Newest().Fingerprint); err != nil {
		t.Fatal(err)
	}
	return s
}

// A rotation changes no key, tag, report or identity: only what things are sealed under.
func TestRotationChangesNoKey(t *testing.T) {
	before, after := testSecret(t, 0), rotated(t, 0, 3)
	if NewHasher(before).Key("user.id", []byte("u")) != NewHasher(after).Key("user.id", []byte("u")) ||
		NewTags(before).Tag(KindItem, 3, "sku") != NewTags(after).Tag(KindItem, 3, "sku") ||
		NewReports(before).Person(1, 2, Key{3}) != NewReports(after).Person(1, 2, Key{3}) ||
		before.Fingerprint() != after.Fingerprint() {
		t.Error("a rotation changed a key, a tag, a report or the cluster's fingerprint")
	}
}

func TestEpochs(t *testing.T) {
	s := testSecret(t, 0)
	e := s.Epochs()
	if a := e.Active(); a.Number != 0 || a.Fingerprint != s.Fingerprint() || e.Newest() != a {
		t.Fatalf("of a new secret: %+v", a)
	}
	if key, err := e.Subkey(s.Fingerprint(), "batch", nil); key != nil || err != nil {
		t.Errorf("epoch 0 seals: %x, %v", key, err)
	}
	two, three := rotated(t, 0, 1), rotated(t, 0, 2)
	if _, err := e.Subkey(two.Epochs().Newest().Fingerprint, "batch", nil); !errors.Is(err, ErrEpoch) {
		t.Errorf("of an epoch that the file does not have: %v", err)
	}
	if err := e.Activate(two.Epochs().Newest().Fingerprint); !errors.Is(err, ErrEpoch) || e.Active().Number != 0 {
		t.Errorf("activated what the file does not have: %v", err)
	}
	if added, err := e.Take(three); added != 2 || err != nil || e.Active().Number != 0 || e.Newest().Number != 2 {
		t.Fatalf("took %d: %v, %+v", added, err, e.All())
	}
	if added, err := e.Take(three); added != 0 || err != nil {
		t.Errorf("took again %d: %v", added, err)
	}
	for name, wrong := range map[string]Secret{"shorter": two, "of another cluster": rotated(t, 1, 2)} {
		if _, err := e.Take(wrong); !errors.Is(err, ErrOtherSecret) || len(e.All()) != 3 {
			t.Errorf("%s: %v", name, err)
		}
	}
	names := e.All()
	keys := map[string]bool{}
	for _, of := range names[1:] {
		for _, salt := range []string{"", "a"} {
			for _, purpose := range []string{"batch", "batc"} {
				key, err := e.Subkey(of.Fingerprint, purpose, []byte(salt))
				if err != nil || len(key) != 32 || keys[string(key)] {
					t.Errorf("epoch %d, %q, %q: %x, %v", of.Number, purpose, salt, key, err)
				}
				keys[string(key)] = true
			}
		}
	}
	if err := e.Activate(names[2].Fingerprint); err != nil || e.Active() != names[2] {
		t.Fatalf("active %+v, %v", e.Active(), err)
	}
	if err := e.Activate(names[1].Fingerprint); err != nil || e.Active() != names[2] {
		t.Errorf("it went back: %+v, %v", e.Active(), err)
	}
}

// Two secrets of one cluster are told apart, and one secret in two clusters.
func TestEpochFingerprints(t *testing.T) {
	a, b := rotated(t, 0, 1).Epochs().Newest(), rotated(t, 1, 1).Epochs().Newest()
	if a.Fingerprint == b.Fingerprint || len(a.Fingerprint) != 16 {
		t.Errorf("%q, %q", a.Fingerprint, b.Fingerprint)
	}
}

// Tokens and receipts open on every node that has their epoch, whatever it writes in itself; and those of an epoch not under the secret of another.
func TestTokensAndReceiptsThroughEpochs(t *testing.T) {
	old, new := testSecret(t, 0), rotated(t, 0, 2)
	grant := testGrant(NewHasher(old), 3, 2)
	var back Grant
	open := func(s Secret, token, receipt []byte) error {
		_, err := NewReceipts(s).Open(receipt)
		if err := NewTokens(s).Open(&back, token, testNow); err != nil {
			return err
		}
		return err
	}
	seal := func(s Secret) (token, receipt []byte) {
		return NewTokens(s).Append(nil, grant), NewReceipts(s).Append(nil, &Receipt{At: 1, Until: 2, Keys: grant.Keys})
	}
	token, receipt := seal(old)
	if err := open(new, token, receipt); err != nil || !sameGrant(grant, &back) {
		t.Errorf("of epoch 0 on a rotated node: %v", err)
	}
	later, laterReceipt := seal(new)
	if later[0] == token[0] && bytes.Equal(later[:2], token[:2]) {
		t.Error("a token does not say its epoch")
	}
	if err := open(rotated(t, 0, 3), later, laterReceipt); err != nil || !sameGrant(grant, &back) {
		t.Errorf("of an earlier epoch: %v", err)
	}
	if err := NewTokens(old).Open(&back, later, testNow); !errors.Is(err, ErrTokenForged) {
		t.Errorf("on a node without the epoch: %v", err)
	}
	if _, err := NewReceipts(old).Open(laterReceipt); !errors.Is(err, ErrReceipt) {
		t.Errorf("receipt on a node without the epoch: %v", err)
	}
	// Whoever has the first secret alone cannot make one of a later epoch.
	raw, _ := encoding.AppendDecode(nil, token)
	raw[0] += 2
	refused(t, NewTokens(new), &back, encoding.AppendEncode(nil, raw), ErrTokenForged)
	raw, _ = encoding.AppendDecode(nil, receipt)
	raw[0] += 2
	if _, err := NewReceipts(new).Open(encoding.AppendEncode(nil, raw)); !errors.Is(err, ErrReceipt) {
		t.Errorf("a forged receipt: %v", err)
	}
}

// An epoch that comes between Begin and Append does not change the nonce that was said.
func TestTokenBegunBeforeItsEpoch(t *testing.T) {
	s := rotated(t, 0, 0)
	next, err := s.withEpoch(bytes.Repeat([]byte{7}, SecretSize), testMade)
	if err != nil {
		t.Fatal(err)
	}
	tokens, g, back := NewTokens(s), testGrant(NewHasher(s), 1, 1), Grant{}
	tokens.Begin(g, testNow)
	if _, err := s.Epochs().Take(next); err != nil {
		t.Fatal(err)
	}
	if err := s.Epochs().Activate(next.Epochs().Newest().Fingerprint); err != nil {
		t.Fatal(err)
	}
	if err := tokens.Open(&back, tokens.Append(nil, g), testNow); err != nil || back.Nonce != g.Nonce {
		t.Errorf("%v: nonce %x, said %x", err, back.Nonce, g.Nonce)
	}
}

func TestRotateFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "secret")
	if _, err := Rotate(path, testMade); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
	first, _, err := OpenSecret(path)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{first.Fingerprint(): true}
	for n := 1; n <= 3; n++ {
		s, err := Rotate(path, testMade)
		if err != nil {
			t.Fatal(err)
		}
		again, made, err := OpenSecret(path)
		if err != nil || made || !again.Equal(first) || len(again.Epochs().All()) != n+1 || again.Epochs().Active().Number != 0 {
			t.Fatalf("rotation %d: made %v, %v, %+v", n, made, err, again.Epochs().All())
		}
		if fp := again.Epochs().Newest().Fingerprint; seen[fp] || fp != s.Epochs().Newest().Fingerprint || !again.Epochs().Newest().Made.Equal(testMade) {
			t.Errorf("rotation %d: %+v", n, again.Epochs().Newest())
		} else {
			seen[fp] = true
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info, err)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("left beside the secret: %v", left)
	}
}

// Two rotations at once are two epochs.
func TestRotateRace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	if _, _, err := OpenSecret(path); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := Rotate(path, testMade); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if s, err := ReadSecret(path); err != nil || len(s.Epochs().All()) != 9 {
		t.Errorf("%v: %d epochs", err, len(s.Epochs().All()))
	}
}

// A file that group or others may read is refused before it is read, and stays as it was.
func TestRotateRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, bytes.Repeat([]byte{1}, SecretSize), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Rotate(path, testMade); !errors.Is(err, ErrSecretMode) {
		t.Errorf("%v", err)
	}
	if b, err := os.ReadFile(path); err != nil || len(b) != SecretSize {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

// Every byte of a file with epochs counts, and its faults show nothing of it.
func TestSecretFileEveryByteCounts(t *testing.T) {
	s := rotated(t, 0, 3)
	text := s.appendFile(nil)
	if back, err := ParseSecretFile(text); err != nil || !bytes.Equal(back.appendFile(nil), text) || !back.Equal(s) {
		t.Fatalf("%v", err)
	}
	fails := func(what string, b []byte) {
		t.Helper()
		_, err := ParseSecretFile(b)
		if err == nil {
			t.Errorf("%s is accepted", what)
			return
		}
		for _, e := range s.epochs.now.Load().all {
			if strings.Contains(err.Error(), hex.EncodeToString(e.secret.get()[:4])) {
				t.Errorf("%s: the error shows the secret: %v", what, err)
			}
		}
	}
	for i := range text {
		fails(fmt.Sprintf("cut at %d", i), text[:i])
		for _, c := range []byte{text[i] ^ 1, ' ', '\n', '0', 'A'} {
			if b := bytes.Clone(text); c != text[i] {
				b[i] = c
				fails(fmt.Sprintf("byte %d as %q", i, c), b)
			}
		}
	}
	fails("with more behind", append(bytes.Clone(text), '\n'))
	fails("very long", append([]byte(fileMagic), bytes.Repeat([]byte("0 "), maxSecretFile)...))
	full := rotated(t, 0, MaxEpochs-1)
	if _, err := full.withEpoch(bytes.Repeat([]byte{9}, SecretSize), testMade); err == nil {
		t.Error("more epochs than a file holds")
	}
	if _, err := ParseSecretFile(full.appendFile(nil)); err != nil {
		t.Errorf("a full file: %v", err)
	}
}

// What is read is written again as it was.
func FuzzParseSecretFile(f *testing.F) {
	for n := range 3 {
		f.Add(rotated(f, 0, n).appendFile(nil))
	}
	f.Add([]byte(fileMagic))
	f.Add([]byte("restraint secret 3\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseSecretFile(b)
		if err != nil {
			return
		}
		if !bytes.Equal(s.appendFile(nil), b) || len(s.Epochs().All()) > MaxEpochs {
			t.Errorf("%q is read and written differently", b)
		}
	})
}
