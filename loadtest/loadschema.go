package loadtest

import _ "embed" // the schema

// ReportJSONSchema is the JSON Schema (draft 2020-12) of a Report as JSON.
//
//go:embed report.schema.json
var ReportJSONSchema []byte
