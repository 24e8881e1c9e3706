package access

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
	"testing"
)

const hashText = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

// good is the rest of a line without fault.
const good = " made=2026-11-22T03:20:46Z sha256=" + hashText

// Every fault of a file is named, with its line and the mend.
func TestParseFaults(t *testing.T) {
	text := strings.Join([]string{
		"# a comment",
		header,
		"id=aaaaaaaa client=a roles=bid" + good,
		"",
		"id=aaaaaaaa client=b roles=bid" + good + " revoked=2026-11-23T00:00:00Z",
		"id=short client=a/b roles=bid,admin" + good,
		"id=bbbbbbbb client=a roles=bid reasons=maybe rate=0 burst=x" + good,
		"id=cccccccc client=a roles=bid" + good,
		"id=dddddddd client=c roles=ops reasons=no" + good,
		"id=eeeeeeee id=eeeeeeee client=d roles=bid rate=1000001 colour=red word" + good,
		"id=ffffffff client=e roles=bid burst=3 made=yesterday sha256=" + hashText[1:],
		"id=gggggggg client=f roles=bid made=2026-11-22T03:20:46Z sha256=" + strings.ToUpper(hashText) + " revoked=never",
		"client=g",
		"end",
		"",
	}, "\n")
	_, err := Parse([]byte(text), "keys")
	var faults *Faults
	if !errors.As(err, &faults) {
		t.Fatal(err)
	}
	want := []string{
		`keys:5: id "aaaaaaaa": stands on line 3 too`,
		`keys:6: id: "short" is no id`,
		`keys:6: client: "a/b" is no name of a client`,
		`keys:6: roles: "admin" is no role: use bid,crm,privacy,ops,metrics`,
		`keys:7: reasons: "maybe" is neither yes nor no`,
		`keys:7: rate: "0" is not a whole number from 1 to 1000000`,
		`keys:7: burst: "x" is not a whole number from 1 to 10000000`,
		`keys:8: client "a": this is active key number 3 and 2 are the most`,
		`keys:9: reasons: no, and the roles ops see them`,
		`keys:10: id: stands twice in the line`,
		`keys:10: rate: "1000001" is not a whole number`,
		`keys:10: colour: there is no such field`,
		`keys:10: "word" is no field`,
		`keys:11: made: "yesterday" is not a time`,
		`keys:11: sha256: these 63 characters are no hash`,
		`keys:11: burst: without a rate`,
		`keys:12: sha256: these 64 characters are no hash: 64 hexadecimal digits in lower case`,
		`keys:12: revoked: "never" is not a time`,
		`keys:13: id: missing`,
		`keys:13: roles: missing`,
		`keys:13: made: missing`,
		`keys:13: sha256: missing`,
	}
	got := strings.Split(err.Error(), "\n")
	if len(got) != len(want) {
		t.Errorf("%d faults, want %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("fault %d: %s\nwant %s", i, got[i], want[i])
		}
	}
}

// A file that is empty, of another kind, too long or goes on after its end.
func TestParseFrame(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "keys:1: the file is empty",
		"\n# nothing\n":                "keys:2: the file is empty",
		"keys: []\n":                   `keys:1: "keys: []" is not how a file of keys begins`,
		"restraint-keys 2\n":           `keys:1: "restraint-keys 2" is not how`,
		"end\n":                        `keys:1: "end" is not how`,
		header + "\nend\nend":          `keys:3: text after "end"`,
		header + "\n":                  "keys:1: the file is cut off",
		strings.Repeat("#\n", maxFile): "are too many for a file of keys",
	} {
		if _, err := Parse([]byte(text), "keys"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.30q: %v, want %s", text, err, want)
		}
	}
	for _, text := range []string{header + "\nend", header + "\r\n\r\nend\r\n", "\n#\n" + header + "\n#\nend\n#\n"} {
		if f, err := Parse([]byte(text), "keys"); err != nil || len(f.Keys) != 0 {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A file that was cut off is refused wherever that happened, so that no key is lost
// without a word.
func TestParseTruncated(t *testing.T) {
	a, _ := makeKey(t, Key{Client: "a", Roles: Bid, Rate: 10})
	b, _ := makeKey(t, Key{Client: "b", Roles: Ops | Metrics})
	text := fileOf(t, a, b).Text()
	for n := range len(text) - 1 { // without the last line break it is whole
		if _, err := Parse(text[:n], "keys"); err == nil {
			t.Fatalf("the first %d of %d bytes are taken for whole", n, len(text))
		}
	}
}

// secretLike is what no message may have in it: a key, or a secret by itself.
var secretLike = regexp.MustCompile(`rk_[a-z2-7]{8}_[a-z2-7]|[a-z2-7]{52}`)

// Whatever is read without fault is written so that it reads the same, is within its
// bounds, and no message shows what could be a secret.
func FuzzParse(f *testing.F) {
	a, _ := makeKey(f, Key{Client: "a", Roles: Bid, Rate: 10, Burst: 20})
	b, _ := makeKey(f, Key{Client: "b", Roles: CRM, Reasons: true})
	whole := fileOf(f, a, b)
	f.Add(whole.Text())
	revoked, err := whole.Revoke(a.ID, made)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(revoked.Text())
	f.Add([]byte(header + "\nid=aaaaaaaa client=a roles=bid" + good + "\nend"))
	f.Add([]byte(header + "\nid=aaaaaaaa id== =\nrk_aaaaaaaa_bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\nend"))
	f.Fuzz(func(t *testing.T, text []byte) {
		before := bytes.Clone(text)
		file, err := Parse(text, "keys")
		if !bytes.Equal(text, before) {
			t.Fatal("the text was changed")
		}
		if err != nil {
			if shown := secretLike.FindString(err.Error()); shown != "" {
				t.Fatalf("a message shows %s", shown)
			}
			return
		}
		clear(text)
		active, ids := map[string]int{}, map[string]bool{}
		for _, k := range file.Keys {
			again, faults := parseKey(k.line())
			if len(faults) > 0 || again != k {
				t.Fatalf("%+v is written as\n%s\nand read as %+v, %q", k, k.line(), again, faults)
			}
			if k.Active() {
				active[k.Client]++
			}
			if ids[k.ID] || k.Roles == 0 || k.Roles > allRoles || k.Rate < 0 || k.Rate > MaxRate || k.Burst < 0 || k.Burst > MaxBurst || active[k.Client] > 2 {
				t.Fatalf("out of bounds: %+v", k)
			}
			ids[k.ID] = true
		}
		if again, err := Parse(file.Text(), "keys"); err != nil || len(again.Keys) != len(file.Keys) {
			t.Fatalf("its own text: %v", err)
		}
		NewGate(file)
	})
}

// Whatever is shown as a key, only the one that was made is let in.
func FuzzCheck(f *testing.F) {
	k, text := makeKey(f, Key{Client: "a", Roles: Bid})
	g := NewGate(fileOf(f, k))
	f.Add([]byte(text))
	f.Add([]byte(text[:63]))
	f.Add([]byte("rk_" + k.ID + "_"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, shown []byte) {
		if _, verdict := g.Check(shown); (verdict == LetIn) != (string(shown) == text) {
			t.Fatalf("%q: %v", shown, verdict)
		}
		HoldsKey(shown)
		if s := redact(string(shown)); len(s) > 100 {
			t.Fatalf("redacted to %q", s)
		}
	})
}
