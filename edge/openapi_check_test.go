package edge_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// call sends a request and holds the answer to its description: the status is
// listed, the media type and headers are there, the body is as its schema says
// and has nothing else.
func (d *description) call(t *testing.T, n *node, status int, method, target string, header http.Header, body string) (answer []byte) {
	t.Helper()
	path, _, _ := strings.Cut(target, "?")
	o, ok := d.find(method, path)
	if !ok {
		t.Fatalf("%s %s is not described", method, path)
	}
	resp, answer := n.exchange(t, n.url, method, target, header, body)
	where := fmt.Sprintf("%s %s: %d", method, target, resp.StatusCode)
	if resp.StatusCode != status {
		t.Errorf("%s, want %d\n%s\n%s", where, status, body, answer)
		return answer
	}
	described := d.follow(o.node["responses"].(object)[strconv.Itoa(status)])
	if described == nil {
		t.Errorf("%s is not described", where)
		return answer
	}
	headers, _ := described["headers"].(object)
	for name, h := range headers {
		schema := d.follow(h)["schema"]
		var value any = resp.Header.Get(name)
		if number, err := strconv.ParseFloat(value.(string), 64); err == nil {
			value = number
		}
		for _, fault := range d.check(schema, value, name, true) {
			t.Errorf("%s: header %s", where, fault)
		}
	}
	mediaType, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	content, _ := described["content"].(object)
	media, ok := content[mediaType].(object)
	if !ok && (len(content) > 0 || len(answer) > 0) {
		t.Errorf("%s: content type %q is not described", where, mediaType)
	}
	if schema := media["schema"]; schema != nil && strings.HasSuffix(mediaType, "json") {
		var value any
		if err := json.Unmarshal(answer, &value); err != nil {
			t.Fatalf("%s: %v\n%s", where, err, answer)
		}
		for _, fault := range d.check(schema, value, "answer", true) {
			t.Errorf("%s: %s\n%.2000s", where, fault, answer)
		}
	}
	return answer
}

// check holds a value to a schema and returns what is wrong with it. strict: a
// field that the schema does not name is wrong too.
func (d *description) check(schema, value any, at string, strict bool) (faults []string) {
	s := d.follow(schema)
	wrong := func(format string, args ...any) {
		faults = append(faults, at+": "+fmt.Sprintf(format, args...))
	}
	for keyword := range s {
		if !slices.Contains(keywords, keyword) {
			wrong("the schema has the keyword %q, which this test does not know", keyword)
		}
	}
	if options, ok := s["oneOf"].([]any); ok {
		var tried []string
		for _, option := range options {
			found := d.check(option, value, at, strict)
			if found == nil {
				return faults
			}
			tried = append(tried, found...)
		}
		return append(faults, tried...)
	}
	if kinds := s["type"]; kinds != nil && !slices.ContainsFunc(listed(kinds), func(k any) bool { return isKind(k.(string), value) }) {
		wrong("%v is no %v", value, kinds)
		return faults
	}
	if set, ok := s["enum"].([]any); ok && !slices.Contains(set, value) {
		wrong("%v is none of %v", value, set)
	}
	if constant, ok := s["const"]; ok && constant != value {
		wrong("%v is not %v", value, constant)
	}
	switch value := value.(type) {
	case string:
		bound(s, "Length", float64(len(value)), wrong)
		if pattern, ok := s["pattern"].(string); ok && !regexp.MustCompile(pattern).MatchString(value) {
			wrong("%q does not match %s", value, pattern)
		}
	case float64:
		bound(s, "imum", value, wrong)
	case []any:
		bound(s, "Items", float64(len(value)), wrong)
		for i, one := range value {
			faults = append(faults, d.check(s["items"], one, at+"["+strconv.Itoa(i)+"]", strict)...)
		}
	case object:
		faults = append(faults, d.checkFields(s, value, at, strict)...)
	}
	return faults
}

// keywords are those that check knows, and those that say nothing of a value.
var keywords = []string{
	"type", "enum", "const", "pattern", "minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems", "items",
	"oneOf", "required", "properties", "additionalProperties", "description", "default", "format",
}

func (d *description) checkFields(s, value object, at string, strict bool) (faults []string) {
	required, _ := s["required"].([]any)
	for _, name := range required {
		if _, ok := value[name.(string)]; !ok {
			faults = append(faults, fmt.Sprintf("%s: %s is missing", at, name))
		}
	}
	properties, _ := s["properties"].(object)
	for name, field := range value {
		switch property, ok := properties[name]; {
		case ok:
			faults = append(faults, d.check(property, field, at+"."+name, strict)...)
		case s["additionalProperties"] != nil:
			faults = append(faults, d.check(s["additionalProperties"], field, at+"."+name, strict)...)
		case strict:
			faults = append(faults, fmt.Sprintf("%s: %s is not described", at, name))
		}
	}
	// What JSON Schema could say only at length: a reason stands with a skip alone.
	if show, ok := value["show"].(bool); ok && show == (value["reason"] != nil) {
		faults = append(faults, fmt.Sprintf("%s: show %v with reason %v", at, show, value["reason"]))
	}
	return faults
}

func listed(v any) []any {
	if list, ok := v.([]any); ok {
		return list
	}
	return []any{v}
}

func isKind(kind string, value any) bool {
	switch v := value.(type) {
	case nil:
		return kind == "null"
	case string:
		return kind == "string"
	case bool:
		return kind == "boolean"
	case float64:
		return kind == "number" || kind == "integer" && v == float64(int64(v))
	case []any:
		return kind == "array"
	case object:
		return kind == "object"
	}
	return false
}

// bound checks the keywords min... and max... of one kind.
func bound(s object, kind string, n float64, wrong func(string, ...any)) {
	if least, ok := s["min"+kind].(float64); ok && n < least {
		wrong("%v is under min%s %v", n, kind, least)
	}
	if most, ok := s["max"+kind].(float64); ok && n > most {
		wrong("%v is over max%s %v", n, kind, most)
	}
}
