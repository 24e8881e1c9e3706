package edge_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// object is a mapping of the description, with numbers as encoding/json has them.
type object = map[string]any

// description is the parsed openapi.yaml.
type description struct{ root object }

func readOpenAPI(t *testing.T) *description {
	t.Helper()
	text, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	d := new(description)
	if err := json.Unmarshal(encoded, &d.root); err != nil {
		t.Fatal(err)
	}
	return d
}

// follow returns what node stands for: the target of its $ref, or itself.
func (d *description) follow(node any) object {
	m, _ := node.(object)
	ref, ok := m["$ref"].(string)
	if !ok {
		return m
	}
	var at any = d.root
	for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		m, _ := at.(object)
		at = m[part]
	}
	target, _ := at.(object)
	return d.follow(target)
}

func (d *description) schema(name string) object {
	return d.follow(object{"$ref": "#/components/schemas/" + name})
}

// operation is one method of one path.
type operation struct {
	method, path string
	node         object
	parameters   []object // of the path and of the operation
}

func (d *description) operations() (all []operation) {
	for path, item := range d.root["paths"].(object) {
		for method, node := range item.(object) {
			if method == "parameters" {
				continue
			}
			o := operation{method: strings.ToUpper(method), path: path, node: node.(object)}
			for _, holder := range []object{item.(object), o.node} {
				list, _ := holder["parameters"].([]any)
				for _, p := range list {
					o.parameters = append(o.parameters, d.follow(p))
				}
			}
			all = append(all, o)
		}
	}
	slices.SortFunc(all, func(a, b operation) int { return strings.Compare(a.path+a.method, b.path+b.method) })
	return all
}

// find returns the operation that a request is for.
func (d *description) find(method, path string) (operation, bool) {
	for _, o := range d.operations() {
		before, after, named := strings.Cut(pathParameter.ReplaceAllString(o.path, "{}"), "{}")
		middle := strings.TrimSuffix(strings.TrimPrefix(path, before), after)
		if o.method == method && (o.path == path || named && before+middle+after == path && middle != "" && !strings.Contains(middle, "/")) {
			return o, true
		}
	}
	return operation{}, false
}

// pathParameter is what a path of the description has in the place of a name.
var pathParameter = regexp.MustCompile(`\{[a-z]+\}`)

// walk calls visit for every value under node.
func walk(at string, node any, visit func(at string, node any)) {
	visit(at, node)
	switch node := node.(type) {
	case object:
		for key, value := range node {
			walk(at+"/"+key, value, visit)
		}
	case []any:
		for i, value := range node {
			walk(at+"/"+strconv.Itoa(i), value, visit)
		}
	}
}

// examplesOf are the examples of a media type or a parameter.
func examplesOf(m object) object {
	all := object{}
	if value, ok := m["example"]; ok {
		all["example"] = value
	}
	named, _ := m["examples"].(object)
	for name, one := range named {
		all[name] = one.(object)["value"]
	}
	return all
}

// anyPath is a path with names in it that may be there.
func anyPath(path string) string {
	return pathParameter.ReplaceAllString(strings.Replace(path, "{profile}", "heap", 1), "acme-customers")
}
