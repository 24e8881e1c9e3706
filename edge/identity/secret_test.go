package identity

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestOpenSecretMakesOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "folder", "secret")
	s, made, err := OpenSecret(path)
	if err != nil || !made {
		t.Fatalf("made=%v err=%v", made, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() != SecretSize {
		t.Fatalf("secret file: %v, %v", info, err)
	}
	again, made, err := OpenSecret(path)
	if err != nil || made || !again.Equal(s) || again.Fingerprint() != s.Fingerprint() {
		t.Fatalf("second start: made=%v err=%v", made, err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Fatalf("left beside the secret: %v, %v", left, err)
	}
	if len(s.Fingerprint()) != 16 {
		t.Errorf("fingerprint %q", s.Fingerprint())
	}
}

func TestOpenSecretRace(t *testing.T) {
	for range 20 {
		path := filepath.Join(t.TempDir(), "d", "secret")
		var wg sync.WaitGroup
		secrets, mades := make([]Secret, 8), make([]bool, 8)
		for i := range secrets {
			wg.Go(func() {
				var err error
				if secrets[i], mades[i], err = OpenSecret(path); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		makers := 0
		for i := range secrets {
			if !secrets[i].Equal(secrets[0]) {
				t.Fatal("two starts have two secrets")
			}
			if mades[i] {
				makers++
			}
		}
		if makers != 1 {
			t.Fatalf("%d starts say that they made the secret", makers)
		}
	}
}

func TestOpenSecretRefuses(t *testing.T) {
	good := bytes.Repeat([]byte{7}, SecretSize)
	for _, c := range []struct {
		name  string
		bytes []byte
		mode  os.FileMode
		want  error
	}{
		{"group can read", good, 0o640, ErrSecretMode},
		{"world can read", good, 0o604, ErrSecretMode},
		{"group can write", good, 0o620, ErrSecretMode},
		{"empty", nil, 0o600, ErrSecretSize},
		{"31 bytes", good[:31], 0o600, ErrSecretSize},
		{"33 bytes", append(good, '\n'), 0o600, ErrSecretSize},
		{"hex", []byte(hex.EncodeToString(good)), 0o600, ErrSecretSize},
		{"zeros", make([]byte, SecretSize), 0o600, ErrSecretZero},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "secret")
			if err := os.WriteFile(path, c.bytes, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, c.mode); err != nil { // past the umask
				t.Fatal(err)
			}
			s, made, err := OpenSecret(path)
			if !errors.Is(err, c.want) || made || s.bytes.at != nil {
				t.Fatalf("made=%v err=%v, want %v", made, err, c.want)
			}
			if !strings.Contains(err.Error(), path) {
				t.Errorf("error does not name the file: %v", err)
			}
			if left, _ := os.ReadFile(path); !bytes.Equal(left, c.bytes) {
				t.Error("the refused file was changed")
			}
		})
	}
}

func TestOpenSecretRefusesWhatIsNoFile(t *testing.T) {
	if _, _, err := OpenSecret(t.TempDir()); !errors.Is(err, ErrSecretFile) {
		t.Errorf("folder: %v", err)
	}
	pipe := filepath.Join(t.TempDir(), "secret")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := OpenSecret(pipe); !errors.Is(err, ErrSecretFile) {
		t.Errorf("pipe: %v", err)
	}
	under := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(under, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := OpenSecret(filepath.Join(under, "secret")); err == nil {
		t.Error("a secret under a file was opened")
	}
}

// The secret and what is derived from it must not come out by any way of printing.
func TestSecretIsNotPrintable(t *testing.T) {
	s := testSecret(t, 0x61)
	type config struct {
		Secret Secret
		hidden Secret
		Ptr    *Secret
	}
	s, err := s.withEpoch(bytes.Repeat([]byte{0xa5, 0x5b, 0xb6, 0x6c}, 8), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	h, tags, tokens := NewHasher(s), NewTags(s), NewTokens(s)
	values := []any{
		s, &s, s.Epochs(), *s.Epochs(), s.Epochs().All(), s.epochs.now.Load(), NewReceipts(s),
		config{s, s, &s},
		&config{s, s, &s},
		[]Secret{s},
		map[string]Secret{"k": s},
		struct{ s any }{s},
		h, *h, tags, *tags, tokens, fmt.Errorf("open: %v %+v", s, &s),
	}
	var out strings.Builder
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%c", "%U", "%p"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(b)
	}
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(handler).Info("secret", "secret", s, "ptr", &s, "in", config{s, s, &s})
	}
	text, err := s.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	out.Write(text)

	printed := strings.ToLower(out.String())
	for _, b := range [][]byte{s.bytes.get()[:], h.key.get()[:], s.epochs.now.Load().all[1].secret.get()[:]} {
		for _, form := range []string{"%s", "%x", "% x", "%d", "%v", "%#v", "%q"} {
			text := strings.Trim(strings.ToLower(fmt.Sprintf(form, b[4:8])), "[]\"")
			text = strings.TrimSuffix(strings.TrimPrefix(text, "[]byte{"), "}")
			if strings.Contains(printed, text) {
				t.Errorf("printed in form %s: %q", form, text)
			}
		}
	}
	if !strings.Contains(out.String(), redacted) {
		t.Error("the secret does not print as redacted")
	}
	for _, seed := range []uint64{tags.seeds.get().tag, tags.seeds.get().exposure} {
		for _, form := range []string{"%d", "%x"} {
			if strings.Contains(printed, fmt.Sprintf(form, seed)) {
				t.Errorf("a seed is printed")
			}
		}
	}
}

func TestZeroSecretIsABug(t *testing.T) {
	defer func() {
		if r := recover(); r == nil || !strings.HasPrefix(fmt.Sprint(r), "BUG: ") {
			t.Errorf("recovered %v", r)
		}
	}()
	NewHasher(Secret{})
}
