package edge_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// No raw identifier is anywhere after a whole run: not in an answer, a log line, a
// metric, nor in any file that the node wrote.
func TestNoRawIdentifierAnywhere(t *testing.T) {
	n := startNode(t, "", testPolicy, nil)
	secrets := []string{
		"raw-user-4711", "raw-buyer-4712", "raw-eid-4713", "6d92078a-8246-4ba4-ae5b-76104861e7dc",
		"raw-member-4714", "raw-order-4715", "raw.person@mail.example", "raw-short-4716",
	}
	person := fmt.Sprintf(`"user":{"id":%q,"buyeruid":%q,"eids":[{"source":"uidapi.com","uids":[{"id":%q}]}]},"device":{"ifa":%q}`,
		secrets[0], secrets[1], secrets[2], secrets[3])
	var answers bytes.Buffer
	send := func(method, path, contentType, body string) {
		status, answer := n.do(method, path, contentType, body)
		fmt.Fprintf(&answers, "%d %s\n", status, answer)
	}
	send("PUT", "/v1/lists/customers?map=c:user.id", "text/csv", "c\n"+secrets[4]+"\n"+secrets[0]+"\n")
	send("POST", "/v1/lists/customers/add?map=c:email_sha256", "text/csv", "c\n"+secrets[6]+"\n") // refused: not hashed
	send("PUT", "/v1/lists/orders?map=c:user.id&item_column=i", "text/csv", "c,i\n"+secrets[5]+",sku-1\n")
	send("PUT", "/v1/lists/customers?map=c:user.id", "text/csv", secrets[4]+","+secrets[0]+"\nu-1,u-2\n") // refused: no header
	send("POST", "/v1/lists/customers/remove?map=c:user.id", "text/csv", "c\n"+secrets[4]+"\n")
	send("POST", "/v1/decide?explain=1", "application/json", `{`+person+`,"want":1,"hold":true,"candidates":[{"campaign":"shoes"},{"campaign":"welcome"}]}`)
	send("POST", "/v1/decide", "application/json", `{`+person+`,"candidates":[{"campaign":7}]}`)
	send("GET", "/v1/decide?user="+secrets[7]+"&campaign=shoes&explain=1", "", "")
	for _, kind := range []string{"impression", "purchase", "hide", "complaint", "click"} {
		send("POST", "/v1/events", "application/json", fmt.Sprintf(`{"type":%q,%s,"campaign":"shoes","item":"sku-2"}`, kind, person))
	}
	send("POST", "/v1/events", "application/json", `{"type":"impression",`+person+`,"campaign":"shoes","at":4000000000}`)
	for _, wrong := range []string{``, `,"personalization":false`, `,"` + secrets[0] + `":1`} {
		send("POST", "/v1/users/lookup", "application/json", `{`+person+wrong+`}`)
		send("POST", "/v1/users/preferences", "application/json", `{`+person+wrong+`,"personalisation":false,"hidden_advertisers":["acme"],"hidden_topics":["shoes"]}`)
	}
	send("POST", "/v1/users/lookup", "application/json", `{"user":{"eids":[{"source":"email_sha256","uids":[{"id":"`+secrets[6]+`"}]}]}}`) // refused: not hashed
	send("POST", "/v1/users/lookup", "application/json", `{"user":{"eids":[{"source":"`+secrets[6]+`_sha256","uids":[{"id":"x"}]}]}}`)     // in the wrong place
	for _, body := range []string{`{` + person + `}`, `{` + person + `,"keep_opt_out":false}`, `{` + person + `,"keep_opt_out":"` + secrets[0] + `"}`} {
		status, answer := n.do("POST", "/v1/users/erase", "application/json", body)
		fmt.Fprintf(&answers, "%d %s\n", status, answer)
		var e struct{ Receipt string }
		if err := json.Unmarshal(answer, &e); err == nil && e.Receipt != "" {
			for _, secret := range secrets { // nor, undone, its key
				if raw, err := base64.RawURLEncoding.DecodeString(e.Receipt); err != nil || bytes.Contains(raw, []byte(secret)) {
					t.Errorf("receipt: %v", err)
				}
			}
			send("GET", "/v1/users/erasures/"+e.Receipt, "", "")
		}
	}
	var linked struct{ Token string }
	n.must(200, "POST", "/v1/decide", "application/json", `{`+person+`,"want":1,"token":true,"candidates":[{"campaign":"after-purchase","creative":"c-1","item":"sku-8"}]}`, &linked)
	for _, token := range []string{linked.Token, linked.Token[1:], secrets[0]} {
		for _, accept := range []string{"text/html", "application/json"} {
			for method, path := range map[string]string{"GET": "/v1/why?campaign=after-purchase&t=", "POST": "/v1/hide?campaign=after-purchase&t="} {
				resp, body := n.exchange(t, n.bid, method, path+token, http.Header{"Accept": {accept}}, "")
				fmt.Fprintf(&answers, "%v %s\n", resp.Header, body)
			}
		}
	}
	for _, path := range []string{"/v1/status", "/v1/lists", "/v1/policy", "/metrics", "/readyz"} {
		send("GET", path, "", "")
	}
	_, record := n.do("GET", "/v1/audit", "", "")
	answers.Write(record)
	n.stop()

	n.searched(t, secrets, answers.Bytes())
	// The record of changes was among the files, and has what was asked about these people.
	onDisk, err := os.ReadFile(filepath.Join(n.dir, "audit", "0000000000000001.jsonl"))
	if err != nil || !bytes.HasPrefix(onDisk, record) {
		t.Errorf("the record that was searched is not that on disk: %v", err)
	}
	for _, action := range []string{"list.put", "list.add", "list.remove", "person.preferences", "person.erase"} {
		if !bytes.Contains(onDisk, []byte(`"action":"`+action+`"`)) {
			t.Errorf("%s is not on record", action)
		}
	}
}

// searched asserts that no secret is in the answers, the log or a file of a node that has
// ended.
func (n *node) searched(t *testing.T, secrets []string, answers []byte) {
	t.Helper()
	search := func(where string, text []byte) {
		for _, s := range secrets {
			if bytes.Contains(text, []byte(s)) {
				t.Errorf("%s contains %q", where, s)
			}
		}
	}
	search("an answer", answers)
	search("the log", n.log.Bytes())
	files := 0
	err := filepath.WalkDir(n.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		text, err := os.ReadFile(path)
		search(path, text)
		return err
	})
	if err != nil || files < 4 {
		t.Errorf("searched %d files: %v", files, err)
	}
}
