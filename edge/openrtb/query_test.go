package openrtb

import (
	"strings"
	"testing"
)

// query gives key=value pairs, decoded, to a request.
func query(r *Request, pairs ...string) error {
	r.Reset()
	for _, pair := range pairs {
		key, value, _ := strings.Cut(pair, "=")
		r.Set([]byte(key), []byte(value))
	}
	return r.Finish()
}

func TestSet(t *testing.T) {
	tests := []struct{ query, want string }{
		{"user=u&campaign=a&campaign=b", "ids=[user.id=u] dropped=0 consent= gpp= sid=[] usp= gdpr=-1 coppa=-1 lmt=-1 dnt=-1 gpc=false country= region= utc=0/false channel= " +
			"cats=[] want=0 hold=false token=false brief=false at=0/false candidates=[a/////0/false/0/false b/////0/false/0/false]"},
		{"source=email_sha256&user=u&campaign=a", "ids=[email_sha256=u]"},
		{"source=ifa&user=00000000-0000-0000-0000-000000000000&campaign=a", "ids=[] "},
		{"source=s&campaign=a", "ids=[] "},
		{"user=&country=DEU&consent=C&gpp=G&channel=ctv&campaign=a", "ids=[] dropped=0 consent=C gpp=G sid=[] usp= gdpr=-1 coppa=-1 lmt=-1 dnt=-1 gpc=false country=DEU region= utc=0/false channel=ctv"},
		{"campaign=a&creative=c&item=i&category=k&interest_at=1793500000&campaign=b", "candidates=[a/c/i/k//1793500000/true/0/false b/c/i/k//1793500000/true/0/false]"},
		{"campaign=a&want=2&hold=1&brief=true&explain=1", "want=2 hold=true token=true brief=true"},
		{"campaign=a&want=2&token=true&hold=false&brief=0&interest_at=", "want=2 hold=false token=true brief=false"},
		{"campaign=Übergröße", "candidates=[Übergröße/"},
	}
	var r Request
	for _, test := range tests {
		if err := query(&r, strings.Split(test.query, "&")...); err != nil {
			t.Errorf("%s: %v", test.query, err)
		} else if got := requestView(&r); !strings.Contains(got, test.want) {
			t.Errorf("%s: got\n%s\nwithout\n%s", test.query, got, test.want)
		}
	}
}

func TestSetNamesWhatIsWrong(t *testing.T) {
	tests := []struct{ query, field, detail string }{
		{"user=u", "campaign", "required"},
		{"campaign=a&campaign=", "campaign[1]", "empty"},
		{"campaign=" + strings.Repeat("c", MaxName+1), "campaign[0]", "129 bytes, at most 128"},
		{"campaign=a\x00", "campaign[0]", "contains a NUL"},
		{"campaign=a\xff", "campaign[0]", "not valid UTF-8"},
		{strings.Repeat("campaign=a&", MaxCandidates) + "campaign=a", "campaign", "501 given, at most 500"},
		{"campaign=a&user=u&user=v", "user", "more than once"},
		{"campaign=a&user=" + strings.Repeat("u", MaxIdentifier+1), "user", "1025 bytes"},
		{"campaign=a&want=0", "want", "from 1 to 32, not 0"},
		{"campaign=a&want=x", "want", "must be a whole number from 1 to 32"},
		{"campaign=a&want=1x", "want", "must be a whole number from 1 to 32"},
		{"campaign=a&hold=true", "hold", "needs want"},
		{"campaign=a&token=1", "token", "needs want"},
		{"campaign=a&brief=yes", "brief", "must be true or false"},
		{"campaign=a&interest_at=-1", "interest_at", "not -1"},
	}
	var r Request
	for _, test := range tests {
		err := query(&r, strings.Split(test.query, "&")...)
		if err == nil {
			t.Errorf("%.80s: accepted", test.query)
		} else if got := field(err, test.field); got == "" || !strings.Contains(got, test.detail) {
			t.Errorf("%.80s: got %v, want %s: %s", test.query, err, test.field, test.detail)
		}
	}
	if err := query(&r, "campaign=a"); err != nil || len(r.Candidates) != 1 {
		t.Errorf("a request that is used again: %v", err)
	}
}
