package openrtb

import (
	"strings"
	"testing"
)

func TestEventParseReadsTheContractsExamples(t *testing.T) {
	tests := []struct{ line, want string }{
		{
			`{"type":"impression","token":"T","campaign":"spring-shoes","creative":"c-1","item":"sku-9"}`,
			"type=impression/impression id= token=T campaign=spring-shoes creative=c-1 item=sku-9 category= advertiser= why= answer= at=0/false person=false ids=[]",
		},
		{
			`{"type":"impression","id":"imp-77","user":{"id":"u-123"},"campaign":"spring-shoes","creative":"c-1","item":"sku-9","channel":"web","at":1793500123}`,
			"type=impression/impression id=imp-77 token= campaign=spring-shoes creative=c-1 item=sku-9 category= advertiser= why= answer= at=1793500123/true person=true ids=[user.id=u-123]",
		},
		{
			`{"type":"purchase","id":"ord-5","user":{"id":"u-123"},"advertiser":"acme","item":"sku-9","category":"shoes","at":1793500200}`,
			"type=purchase/purchase id=ord-5 token= campaign= creative= item=sku-9 category=shoes advertiser=acme",
		},
		{
			`{"type":"hide","user":{"id":"u-123"},"campaign":"spring-shoes","why":"already_bought"}`,
			"type=hide/hide id= token= campaign=spring-shoes creative= item= category= advertiser= why=already_bought",
		},
	}
	var e Event
	for _, test := range tests {
		if err := e.Parse([]byte(test.line)); err != nil {
			t.Errorf("%s: %v", test.line, err)
		} else if got := eventView(&e); !strings.HasPrefix(got, test.want) {
			t.Errorf("got\n%s\nwant\n%s", got, test.want)
		}
	}
}

func TestEventParseAcceptsWhatATypeNeeds(t *testing.T) {
	var e Event
	for _, line := range []string{
		`{"type":"click","device":{},"campaign":"c"}`, // no identifier is for the node to judge
		`{"type":"purchase","user":{},"campaign":"c"}`,
		`{"type":"return","user":{},"advertiser":"a","id":"` + strings.Repeat("i", MaxID) + `"}`,
		`{"type":"release","token":"` + strings.Repeat("t", MaxToken) + `"}`,
		`{"type":"hide","token":"t","campaign":"c"}`,
		`{"type":"complaint","token":"t","campaign":"c","why":"anything","answer":"any"}`,
		`{"type":"feedback","token":"t","campaign":"c","answer":"intrusive"}`,
		`{"type":"impression","token":"t","campaign":"c","at":3,"imp":[]}`,
		`{"type":"impression","token":"t","campaign":"c","regs":{"gdpr":1},"user":{"consent":"C"}}`,
	} {
		if err := e.Parse([]byte(line)); err != nil {
			t.Errorf("%.80s: %v", line, err)
		}
	}
}

func TestEventParseNamesWhatIsWrong(t *testing.T) {
	tests := []struct{ line, field, detail string }{
		{`[{"type":"click"}]`, "body", "must be an object, not a list"},
		{`{"type":"click"`, "body", "byte 15"},
		{`{"campaign":"c","token":"t"}`, "type", "required, must be one of impression"},
		{`{"type":"view","campaign":"c","token":"t"}`, "type", "must be one of impression"},
		{`{"type":1,"campaign":"c","token":"t"}`, "type", "must be a string, not a number (1)"},
		{`{"type":"impression","campaign":"c"}`, "user", "required, or device, or a token"},
		{`{"type":"impression","token":"t"}`, "campaign", "required"},
		{`{"type":"click","user":null,"campaign":"c"}`, "user", "required"},
		{`{"type":"purchase","user":{}}`, "advertiser", "required, or a campaign"},
		{`{"type":"return","advertiser":"a"}`, "user", "required"},
		{`{"type":"release","user":{"id":"u"},"campaign":"c"}`, "token", "required"},
		{`{"type":"hide","token":"t"}`, "campaign", "required"},
		{`{"type":"hide","token":"t","campaign":"c","why":"bored"}`, "why", "must be one of repeats"},
		{`{"type":"complaint","user":{}}`, "campaign", "required"},
		{`{"type":"feedback","token":"t","campaign":"c"}`, "answer", "must be helpful or intrusive"},
		{`{"type":"feedback","token":"t","campaign":"c","answer":"meh"}`, "answer", "must be helpful or intrusive"},
		{`{"type":"click","token":"t","campaign":"c","id":"` + strings.Repeat("i", MaxID+1) + `"}`, "id", "257 bytes, at most 256"},
		{`{"type":"click","token":"` + strings.Repeat("t", MaxToken+1) + `","campaign":"c"}`, "token", "1025 bytes, at most 1024"},
		{`{"type":"click","token":"t","campaign":"` + strings.Repeat("c", MaxName+1) + `"}`, "campaign", "129 bytes"},
		{`{"type":"click","token":"t","campaign":"a\u0000"}`, "campaign", "contains a NUL"},
		{`{"type":"click","token":"t","campaign":"c","at":"now"}`, "at", "must be a number, not a string"},
		{`{"type":"click","token":"t","campaign":"c","at":1793500123000}`, "at", "to 4294967295"},
		{`{"type":"click","token":"t","campaign":"c","user":{"id":5}}`, "user.id", "must be a string, not a number"},
	}
	var e Event
	for _, test := range tests {
		err := e.Parse([]byte(test.line))
		if err == nil {
			t.Errorf("accepted %s", test.line)
		} else if got := field(err, test.field); got == "" || !strings.Contains(got, test.detail) {
			t.Errorf("%.80s: got %v, want %s: %s", test.line, err, test.field, test.detail)
		}
	}
}

// An event that is read again says nothing of the one before it.
func TestEventParseForgets(t *testing.T) {
	full := `{"type":"hide","id":"i","token":"t","campaign":"c","creative":"d","item":"e","category":"f","advertiser":"g","channel":"web","why":"creepy","answer":"a",` +
		`"at":5,"user":{"id":"u","consent":"C"},"device":{"ifa":"x","lmt":1,"devicetype":3},"regs":{"gdpr":1,"gpp_sid":[7]},"site":{}}`
	var fresh, e Event
	last := `{"type":"release","token":"z"}`
	if err := fresh.Parse([]byte(last)); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{full, full[:len(full)-1], `{"type":1}`} {
		_ = e.Parse([]byte(line))
		err := e.Parse([]byte(last))
		if got, want := eventView(&e), eventView(&fresh); err != nil || got != want {
			t.Errorf("after %.20s: %v\ngot  %s\nwant %s", line, err, got, want)
		}
	}
}

func TestEventTypes(t *testing.T) {
	for typ := Impression; typ <= Feedback; typ++ {
		if got := ParseEventType([]byte(typ.String())); got != typ {
			t.Errorf("%s reads as %s", typ, got)
		}
	}
	for _, s := range []string{"", "Impression", "impressions"} {
		if got := ParseEventType([]byte(s)); got != NoEvent {
			t.Errorf("%q reads as %s", s, got)
		}
	}
	if EventType(200).String() != "" || NoEvent.String() != "" {
		t.Error("what is no type has a name")
	}
}

func TestLines(t *testing.T) {
	tests := []struct{ name, body, want string }{
		{"nothing", "", ""},
		{"blank", "\n \r\n\t", ""},
		{"one", `{"a":1}`, `1={"a":1}`},
		{"one, ended", "{\"a\":1}\n", `1={"a":1}`},
		{"several", "{\"a\":1}\n{\"a\":2}\r\n\n \n{\"a\":3}", `1={"a":1} 2={"a":2} 5={"a":3}`},
		{"bad lines are lines", "{\"a\":1}\nx\n{\n\r\n}", `1={"a":1} 2=x 3={ 5=}`},
		{"pretty-printed", "\n{\n \"a\": {\n}\n}\n", "2={\n \"a\": {\n}\n}\n"},
		{"pretty-printed with \\r\\n", "{\r\n}\r\n", "1={\r\n}\r\n"},
		{"pretty-printed and more", "{\n}\n{}", "1={ 2=} 3={}"},
		{"pretty-printed and cut off", "{\n\"a\":1", `1={ 2="a":1`},
		{"a list", "[\n{}]", "1=[ 2={}]"},
		{"spaces are the line's", "  {} \n", "1=  {} "},
		{"a newline in a string is none", "{\"a\":\"\n\"}", `1={"a":" 2="}`},
	}
	for _, test := range tests {
		var got []string
		for number, line := range Lines([]byte(test.body)) {
			got = append(got, string('0'+rune(number))+"="+string(line))
		}
		if joined := strings.Join(got, " "); joined != test.want {
			t.Errorf("%s: got %q, want %q", test.name, joined, test.want)
		}
	}
	for number := range Lines([]byte("{}\n{}\n")) {
		if number > 1 {
			t.Error("went on after a break")
		}
		break
	}
}
