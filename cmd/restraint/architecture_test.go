package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// files is the package by which others write files; it knows nothing of ours.
const files = "restraint/edge/durable"

// Packages that must not know one another stay apart, directly and through others.
func TestPackagesKeepApart(t *testing.T) {
	for _, rule := range []struct {
		pkg      string
		without  []string // of all that it depends on, by prefix
		imported []string // of what its own files import
	}{
		{"restraint/caps", []string{"restraint/suppress", "restraint/edge", "github.com", "log/slog", "context", "net"}, nil},
		{"restraint/suppress", []string{"restraint/caps", "restraint/edge", "github.com/valyala", "github.com/nats-io"}, []string{"log/slog", "context", "net/http"}},
		{"restraint/edge/policy", []string{"restraint/caps", "restraint/suppress", "github.com/valyala"}, nil},
		{"restraint/edge/identity", []string{"restraint/caps", "restraint/suppress", "restraint/edge/policy", "github.com/valyala"}, nil},
		{"restraint/edge/access", []string{"restraint/caps", "restraint/suppress", "restraint/edge", "github.com", "log/slog", "net/http"}, []string{"context"}},
		{"restraint/edge/audit", []string{"restraint/caps", "restraint/suppress", "restraint/edge", "github.com", "log/slog", "net/http"}, []string{"context"}},
		{"restraint/edge/atrest", []string{"restraint", "github.com", "net"}, nil},
		{"restraint/edge/certtest", []string{"restraint", "github.com"}, nil},
		{"restraint/edge/durable", []string{"restraint", "github.com", "log/slog", "context", "net"}, nil},
		{"restraint/edge/shared", []string{"restraint/caps", "restraint/suppress", "restraint/edge", "github.com"}, nil},
		{"restraint/edge/console", []string{"restraint/caps", "restraint/suppress", "restraint/edge", "github.com", "log/slog", "context", "net"}, nil},
		{"restraint/edge/openrtb", []string{"restraint/caps", "restraint/suppress", "restraint/edge/policy", "github.com"}, nil},
		{"restraint/edge/consent", []string{"restraint/caps", "restraint/suppress", "github.com/valyala", "github.com/nats-io"}, nil},
		{"restraint/edge/client", []string{"restraint/caps", "restraint/suppress", "restraint/edge", "restraint/loadtest", "github.com/nats-io"}, []string{"net/http"}}, // ad servers link it
		{"restraint/edge/trust", []string{"restraint/caps", "restraint/suppress", "restraint/edge", "github.com", "log/slog", "context", "net"}, []string{"time", "os"}},
		{"restraint/edge/traffic", []string{"restraint/caps", "restraint/suppress", "restraint/edge", "github.com", "log/slog", "context", "net"}, []string{"os"}},
		{"restraint/edge/replica", []string{"restraint/edge", "restraint/suppress", "github.com/valyala"}, nil},
		{"restraint/loadtest", []string{"restraint/caps", "restraint/suppress", "restraint/edge"}, nil},
		{"restraint/loadtest/bench", []string{"restraint/caps", "restraint/suppress", "restraint/edge", "restraint/loadtest"}, nil},
		{"restraint/edge", []string{"restraint/edge/replica", "restraint/loadtest", "github.com/nats-io"}, nil},
	} {
		for _, dependency := range list(t, "-deps", "{{.ImportPath}}", rule.pkg) {
			for _, forbidden := range rule.without {
				if dependency != rule.pkg && dependency != files && (dependency == forbidden || strings.HasPrefix(dependency, forbidden+"/")) {
					t.Errorf("%s depends on %s", rule.pkg, dependency)
				}
			}
		}
		for _, imported := range list(t, "-deps=false", `{{join .Imports "\n"}}`, rule.pkg) {
			if slices.Contains(rule.imported, imported) {
				t.Errorf("%s imports %s", rule.pkg, imported)
			}
		}
	}
}

// Only edge/replica and what is built on it know NATS.
func TestOnlyReplicaImportsNATS(t *testing.T) {
	found := false
	for _, line := range list(t, "-deps=false", `{{$p := .ImportPath}}{{range .Imports}}{{$p}}={{.}}{{"\n"}}{{end}}`, "restraint/...") {
		if pkg, imported, _ := strings.Cut(line, "="); strings.HasPrefix(imported, "github.com/nats-io/") {
			found = true
			if pkg != "restraint/edge/replica" {
				t.Errorf("%s imports %s", pkg, imported)
			}
		}
	}
	if !found {
		t.Error("nobody imports NATS: the test looks for the wrong thing")
	}
}

// The types of the large libraries stand in no exported declaration.
func TestLibrariesStayInside(t *testing.T) {
	inside := []string{"github.com/valyala/fasthttp", "github.com/nats-io/", "github.com/bits-and-blooms/", "github.com/dgraph-io/", "github.com/prebid/", "github.com/klauspost/", "github.com/HdrHistogram/"}
	dirs := list(t, "-deps=false", "{{.Dir}}", "restraint/...")
	if len(dirs) < 8 {
		t.Fatalf("only %d packages found", len(dirs))
	}
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if !strings.HasSuffix(file, "_test.go") {
				checkExported(t, file, inside)
			}
		}
	}
}

// majorVersion ends a path and is no part of the package's name.
var majorVersion = regexp.MustCompile(`/v[0-9]+$`)

func checkExported(t *testing.T, file string, inside []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	libraries := map[string]string{}
	for _, spec := range f.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		for _, prefix := range inside {
			if strings.HasPrefix(path, prefix) {
				name := filepath.Base(majorVersion.ReplaceAllString(path, ""))
				if spec.Name != nil {
					name = spec.Name.Name
				}
				libraries[name] = path
			}
		}
	}
	if len(libraries) == 0 {
		return
	}
	look := func(name string, n ast.Node) {
		ast.Inspect(n, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && libraries[x.Name] != "" {
					t.Errorf("%s: exported %s shows %s.%s", file, name, x.Name, s.Sel.Name)
				}
			}
			return true
		})
	}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() {
				look(d.Name.Name, d.Type)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if s, ok := spec.(*ast.TypeSpec); ok && s.Name.IsExported() {
					look(s.Name.Name, exportedOnly(s.Type))
				}
			}
		}
	}
}

// exportedOnly is a type without the unexported fields of a struct.
func exportedOnly(n ast.Expr) ast.Node {
	s, ok := n.(*ast.StructType)
	if !ok {
		return n
	}
	shown := &ast.FieldList{}
	for _, field := range s.Fields.List {
		if len(field.Names) == 0 || field.Names[0].IsExported() {
			shown.List = append(shown.List, field)
		}
	}
	return shown
}

// list is go list with a template, in lines.
func list(t *testing.T, deps, format, pkg string) []string {
	t.Helper()
	out, err := exec.Command("go", "list", deps, "-f", format, pkg).Output()
	if err != nil {
		t.Fatalf("go list %s: %v", pkg, err)
	}
	return strings.Fields(string(out))
}
