package suppress_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"restraint/suppress"
)

// slowReader lets time pass with every piece that it gives.
type slowReader struct {
	io.Reader
	pass func()
}

func (s slowReader) Read(p []byte) (int, error) {
	s.pass()
	return s.Reader.Read(p[:1])
}

// TestLimits: each limit has an error of its own, that says what it is and how to
// mend it, and leaves the list as it was.
func TestLimits(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	o := options(t.TempDir())
	o.Now = func() time.Time { return now }
	im := suppress.Import{Format: suppress.Plain, ID: "user.id"}
	row := strings.Repeat("x", 60_000) + "\n"
	packed := func(how string, rows int) io.Reader {
		return bytes.NewReader(compress(t, how, strings.Repeat(row, rows)))
	}
	zip, zst := suppress.Gzip, suppress.Zstd
	for _, c := range []struct {
		name, how string
		r         io.Reader
		limits    suppress.Limits
		want      error
		says      string
	}{
		{"received", "", strings.NewReader(strings.Repeat("u1\n", 1400)), suppress.Limits{CompressedBytes: 4000}, suppress.ErrTooLarge, "4000 bytes as received"},
		{"received, compressed", zip, packed(zip, 1000), suppress.Limits{CompressedBytes: 100}, suppress.ErrTooLarge, "100 bytes as received"},
		{"decompressed", zip, packed(zip, 3), suppress.Limits{Bytes: 100_000}, suppress.ErrExpanded, "100000 bytes after decompression"},
		{"decompressed, zstd", zst, packed(zst, 3), suppress.Limits{Bytes: 100_000}, suppress.ErrExpanded, ""},
		{"ratio", zip, packed(zip, 1200), suppress.Limits{}, suppress.ErrRatio, "250 times"},
		{"ratio, zstd", zst, packed(zst, 1200), suppress.Limits{}, suppress.ErrRatio, "250 times"},
		{"row", "", strings.NewReader("u1\n" + row), suppress.Limits{RowBytes: 59_999}, suppress.ErrRowTooLong, "line 2"},
		{"time", "", slowReader{strings.NewReader(row), func() { now = now.Add(time.Second) }}, suppress.Limits{Time: time.Minute}, suppress.ErrTooSlow, "time that an upload has"},
		{"stall", "", io.MultiReader(strings.NewReader("u1\n"), failing{os.ErrDeadlineExceeded}), suppress.Limits{}, suppress.ErrTooSlow, "nothing came"},
		{"stall, compressed", zip, io.MultiReader(io.LimitReader(packed(zip, 9), 50), failing{os.ErrDeadlineExceeded}), suppress.Limits{}, suppress.ErrTooSlow, "nothing came"},
		{"broken connection", "", io.MultiReader(strings.NewReader("u1\n"), failing{errors.New("reset")}), suppress.Limits{}, nil, "reset"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := o
			o.Dir, o.Limits = t.TempDir(), c.limits
			s := open(t, o)
			declare(t, s, customers)
			im := im
			if _, err := s.Replace("customers", strings.NewReader("u1\nu2\n"), im); err != nil {
				t.Fatal(err)
			}
			im.Compression = c.how
			_, err := s.Replace("customers", c.r, im)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("got %v", err)
			}
			for _, other := range []error{
				suppress.ErrTooLarge, suppress.ErrExpanded, suppress.ErrRatio, suppress.ErrRowTooLong, suppress.ErrTooSlow,
				suppress.ErrTruncated, suppress.ErrCorrupt, suppress.ErrImport, suppress.ErrRejected,
			} {
				if errors.Is(err, other) != (other == c.want) {
					t.Errorf("%v is %v: %v", err, other, errors.Is(err, other))
				}
			}
			if st, _ := s.Status("customers"); st.Generation != 1 || st.Keys != 2 {
				t.Errorf("the list has changed: %+v", st)
			}
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestWithinLimits: what is as long as allowed is taken, whatever its line ends.
func TestWithinLimits(t *testing.T) {
	o := options(t.TempDir())
	o.MaxRejected, o.Limits = 1, suppress.Limits{RowBytes: 300_000}
	s := open(t, o)
	declare(t, s, customers)
	long := strings.Repeat("x", 300_000)
	for _, body := range []string{long, long + "\n", long + "\r\n", "u1\r\n" + long + "\r\nu2", "u1\n" + long + "\nu2\r\n"} {
		rep, err := s.Replace("customers", strings.NewReader(body), suppress.Import{Format: suppress.Plain, ID: "user.id", Force: true})
		if err != nil || rep.Rejected != 1 {
			t.Errorf("%d bytes: %+v, %v", len(body), rep, err)
		}
	}
}

// TestAnnounced: a file that is not compressed as it is said to be is refused
// with what it is; one in several members is one file.
func TestAnnounced(t *testing.T) {
	const body = "u1\nu2\nu3\n"
	zip, zst := string(compress(t, suppress.Gzip, body)), string(compress(t, suppress.Zstd, body))
	twice := string(compress(t, suppress.Gzip, zip))
	for _, c := range []struct {
		name, how, body string
		want            error
		says            string
	}{
		{"gzip", suppress.Gzip, zip, nil, ""},
		{"zstd", suppress.Zstd, zst, nil, ""},
		{"gzip in two members", suppress.Gzip, zip + string(compress(t, suppress.Gzip, "u4\n")), nil, ""},
		{"zstd in two frames", suppress.Zstd, zst + string(compress(t, suppress.Zstd, "u4\n")), nil, ""},
		{"zstd with a frame to be skipped", suppress.Zstd, "\x50\x2a\x4d\x18\x01\x00\x00\x00x" + zst, nil, ""},
		{"gzip, not announced", "", zip, suppress.ErrImport, "say Content-Encoding: gzip"},
		{"zstd, not announced", "", zst, suppress.ErrImport, "say Content-Encoding: zstd"},
		{"zip", "", "PK\x03\x04 rest", suppress.ErrImport, "zip archive or a spreadsheet; send the CSV"},
		{"zip as gzip", suppress.Gzip, "PK\x03\x04 rest", suppress.ErrCorrupt, "announced as gzip and begins as a zip archive"},
		{"zip in gzip", suppress.Gzip, string(compress(t, suppress.Gzip, "PK\x03\x04 rest")), suppress.ErrImport, "zip archive"},
		{"plain as gzip", suppress.Gzip, body, suppress.ErrCorrupt, "is not compressed: send it again without"},
		{"plain as zstd", suppress.Zstd, body, suppress.ErrCorrupt, "is not compressed: send it again without"},
		{"gzip as zstd", suppress.Zstd, zip, suppress.ErrCorrupt, "announced as zstd and begins as gzip"},
		{"zstd as gzip", suppress.Gzip, zst, suppress.ErrCorrupt, "announced as gzip and begins as zstd"},
		{"gzip twice", suppress.Gzip, twice, suppress.ErrImport, "compressed twice, gzip in gzip"},
		{"zstd in gzip", suppress.Gzip, string(compress(t, suppress.Gzip, zst)), suppress.ErrImport, "compressed twice, zstd in gzip"},
		{"gzip, garbage after it", suppress.Gzip, zip + "garbage after it", suppress.ErrCorrupt, "follows the end"},
		{"gzip, zeros after it", suppress.Gzip, zip + strings.Repeat("\x00", 512), suppress.ErrCorrupt, "follows the end"},
		{"gzip, a byte after it", suppress.Gzip, zip + "x", suppress.ErrTruncated, "again"},
		{"zstd, garbage after it", suppress.Zstd, zst + "garbage after it", suppress.ErrCorrupt, "follows the end"},
		{"nothing as gzip", suppress.Gzip, "", suppress.ErrTruncated, "again"},
		{"other", "br", body, suppress.ErrImport, `"br" is none of`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := customerStore(t)
			rep, err := s.Replace("customers", strings.NewReader(c.body), suppress.Import{Format: suppress.Plain, ID: "user.id", Compression: c.how})
			if !errors.Is(err, c.want) || c.want == nil && (err != nil || rep.Keys < 3) || c.want != nil && !strings.Contains(err.Error(), c.says) {
				t.Fatalf("got %+v, %v", rep, err)
			}
		})
	}
}

// TestLongUpload: lines that end anywhere in the pieces that come are the same lines.
func TestLongUpload(t *testing.T) {
	var body strings.Builder
	for n := range 20_000 {
		fmt.Fprintf(&body, "u%d%s\n", n, strings.Repeat("y", n%97))
	}
	for _, how := range []string{suppress.None, suppress.Gzip, suppress.Zstd} {
		text := body.String()
		if how != suppress.None {
			text = string(compress(t, how, text))
		}
		for _, size := range []int{1 << 20, 4097, 61} {
			s := customerStore(t)
			rep, err := s.Replace("customers", pieceReader{strings.NewReader(text), size}, suppress.Import{Format: suppress.Plain, ID: "user.id", Compression: how})
			if err != nil || rep.Keys != 20_000 || !has(t, s, "customers", "user.id", "u19999"+strings.Repeat("y", 19_999%97)) {
				t.Errorf("%s in pieces of %d: %+v, %v", how, size, rep, err)
			}
		}
	}
}

type pieceReader struct {
	io.Reader
	size int
}

func (p pieceReader) Read(b []byte) (int, error) { return p.Reader.Read(b[:min(len(b), p.size)]) }
