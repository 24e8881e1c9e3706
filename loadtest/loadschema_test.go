package loadtest

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

var updateSchema = flag.Bool("update-schema", false, "write report.schema.json anew from the type Report and its comments")

// The schema file is the type Report: its fields, which are required, and what their
// comments say.
func TestReportSchemaIsTheType(t *testing.T) {
	docs := fieldDocs(t)
	want := map[string]any{
		"$schema": "https://json-schema.org/draft/2020-12/schema",
		"$id":     ReportSchema,
		"title":   "Report of restraint load",
	}
	for k, v := range schemaOf(reflect.TypeFor[Report](), docs) {
		want[k] = v
	}
	want["properties"].(map[string]any)["schema"].(map[string]any)["const"] = ReportSchema
	want["properties"].(map[string]any)["outcome"].(map[string]any)["enum"] = []string{OutcomePass, OutcomeMissed, OutcomeInvalid}
	text, err := json.MarshalIndent(want, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	if *updateSchema {
		if err := os.WriteFile("report.schema.json", text, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(text, ReportJSONSchema) {
		t.Error("report.schema.json is not what Report is; go test ./loadtest -run ReportSchema -update-schema writes it anew")
	}
}

// fieldDocs are the comments of the package's exported structs, by type and field; by
// type alone for the type itself.
func fieldDocs(t *testing.T) map[string]string {
	t.Helper()
	docs := map[string]string{}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			s, ok := spec.Type.(*ast.StructType)
			if !ok {
				return true
			}
			for _, field := range s.Fields.List {
				for _, name := range field.Names {
					text := field.Doc.Text()
					if text == "" {
						text = field.Comment.Text()
					}
					docs[spec.Name.Name+"."+name.Name] = strings.Join(strings.Fields(text), " ")
				}
			}
			return true
		})
	}
	return docs
}

func schemaOf(t reflect.Type, docs map[string]string) map[string]any {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case t.Kind() == reflect.Pointer:
		return schemaOf(t.Elem(), docs)
	case t.Kind() == reflect.Slice:
		return map[string]any{"type": "array", "items": schemaOf(t.Elem(), docs)}
	case t.Kind() == reflect.Struct:
		properties, required := map[string]any{}, []string{}
		for f := range t.Fields() {
			name, omit, _ := strings.Cut(f.Tag.Get("json"), ",")
			s := schemaOf(f.Type, docs)
			if doc := docs[t.Name()+"."+f.Name]; doc != "" {
				s["description"] = doc
			}
			properties[name] = s
			if omit == "" {
				required = append(required, name)
			}
		}
		return map[string]any{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
	case t.Kind() == reflect.String:
		return map[string]any{"type": "string"}
	case t.Kind() == reflect.Bool:
		return map[string]any{"type": "boolean"}
	case t.Kind() == reflect.Float64:
		return map[string]any{"type": "number"}
	default:
		return map[string]any{"type": "integer"}
	}
}

// mustFitSchema fails the test unless the report's JSON fits the schema file.
func mustFitSchema(t *testing.T, text []byte) {
	t.Helper()
	var schema map[string]any
	if err := json.Unmarshal(ReportJSONSchema, &schema); err != nil {
		t.Fatal(err)
	}
	var document any
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	for _, fault := range fits("report", document, schema) {
		t.Error(fault)
	}
}

// fits checks what report.schema.json uses of JSON Schema.
func fits(at string, v any, schema map[string]any) (faults []string) {
	wrong := func(format string, args ...any) {
		faults = append(faults, at+": "+fmt.Sprintf(format, args...))
	}
	if want, is := schema["const"]; is && v != want {
		wrong("%v is not %v", v, want)
	}
	if among, is := schema["enum"].([]any); is && !slices.Contains(among, v) {
		wrong("%v is none of %v", v, among)
	}
	switch want := schema["type"]; v := v.(type) {
	case map[string]any:
		if want != "object" {
			wrong("an object, not %v", want)
			return faults
		}
		properties := schema["properties"].(map[string]any)
		for _, name := range schema["required"].([]any) {
			if _, has := v[name.(string)]; !has {
				wrong("%v is missing", name)
			}
		}
		for name, member := range v {
			s, known := properties[name].(map[string]any)
			if !known {
				wrong("%s is unknown", name)
				continue
			}
			faults = append(faults, fits(at+"."+name, member, s)...)
		}
	case []any:
		if want != "array" {
			wrong("an array, not %v", want)
			return faults
		}
		for i, member := range v {
			faults = append(faults, fits(fmt.Sprintf("%s[%d]", at, i), member, schema["items"].(map[string]any))...)
		}
	case string:
		if want != "string" {
			wrong("a string, not %v", want)
		}
		if schema["format"] == "date-time" {
			if _, err := time.Parse(time.RFC3339, v); err != nil {
				wrong("%v", err)
			}
		}
	case bool:
		if want != "boolean" {
			wrong("a boolean, not %v", want)
		}
	case float64:
		if want != "number" && (want != "integer" || v != math.Trunc(v)) {
			wrong("%v, not %v", v, want)
		}
	default:
		wrong("null, not %v", want)
	}
	return faults
}

// The check itself finds what does not fit.
func TestSchemaCheck(t *testing.T) {
	var schema map[string]any
	if err := json.Unmarshal(ReportJSONSchema, &schema); err != nil {
		t.Fatal(err)
	}
	filled := Report{Schema: ReportSchema, Outcome: OutcomePass, Errors: []Count{}, SLOs: []SLOResult{}, Kinds: []KindLatency{{Kind: "decide"}}, Server: &ServerSide{Buckets: []ServerBucket{{}}}}
	filled.Config.Mix, filled.Verdicts.Reasons, filled.Timeline.Steps = []Weight{}, []Count{}, []TimelineStep{}
	filled.Spectrum = Spectrum{[]SpectrumPoint{}, []SpectrumPoint{}}
	text, err := json.Marshal(&filled)
	if err != nil {
		t.Fatal(err)
	}
	mustFitSchema(t, text)
	for _, c := range [][2]string{
		{`"outcome":"pass"`, `"outcome":"fine"`},
		{`"schema":"restraint.load/1"`, `"schema":"other"`},
		{`"seconds":0,`, ``},
		{`"seconds":0,`, `"seconds":"0",`},
		{`"seconds":0,`, `"seconds":0,"minutes":0,`},
		{`"offered":0`, `"offered":0.5`},
		{`"valid":false`, `"valid":0`},
		{`"errors":[]`, `"errors":null`},
		{`"errors":[]`, `"errors":[{"name":1,"n":1}]`},
		{`"started_at":"0001-01-01T00:00:00Z"`, `"started_at":"today"`},
		{`"errors":[]`, `"errors":{}`},
	} {
		changed := strings.Replace(string(text), c[0], c[1], 1)
		var document any
		if err := json.Unmarshal([]byte(changed), &document); err != nil || changed == string(text) {
			t.Fatalf("%v: %v", c, err)
		}
		if len(fits("report", document, schema)) == 0 {
			t.Errorf("%s in place of %s fits", c[1], c[0])
		}
	}
}
