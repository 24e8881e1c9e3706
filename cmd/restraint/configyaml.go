package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"

	"restraint/edge/policy"
)

// readYAML reads the keys of a configuration file. It walks the tree itself
// rather than decode into a struct, to report every fault with its line.
func (l *loader) readYAML(file string, content []byte) {
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var document, second yaml.Node
	err := decoder.Decode(&document)
	if errors.Is(err, io.EOF) {
		return // empty, or comments only
	}
	if err == nil {
		if err = decoder.Decode(&second); errors.Is(err, io.EOF) {
			err = nil
		} else if err == nil {
			l.fault(fmt.Sprintf("%s:%d", file, second.Line), "", second.Line, "a second document: put everything into the first")
		}
	}
	if err != nil {
		line, what := policy.SyntaxError(content, err)
		l.fault(fmt.Sprintf("%s:%d", file, line), "", line, "%s", what)
		return
	}
	w := yamlWalk{loader: l, file: file, keys: map[string]configKey{}}
	for _, k := range l.keys {
		w.keys[k.name] = k
	}
	w.section(document.Content[0], "")
}

type yamlWalk struct {
	*loader
	file string
	keys map[string]configKey
}

func (w *yamlWalk) at(n *yaml.Node) string { return fmt.Sprintf("%s:%d", w.file, n.Line) }

// section reads a mapping whose keys stand under prefix, which is "" or ends in
// a dot.
func (w *yamlWalk) section(n *yaml.Node, prefix string) {
	name := strings.TrimSuffix(prefix, ".")
	if n.Kind != yaml.MappingNode {
		what := "the file holds no keys: write key: value"
		if name != "" {
			what = fmt.Sprintf("%q is no value for a section: put its keys under it, such as %s", n.Value, w.under(prefix))
		}
		w.fault(w.at(n), name, n.Line, "%s", what)
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		full := prefix + key.Value
		if first, ok := seen[full]; ok {
			w.fault(w.at(key), full, key.Line, "the key stands here a second time (first in line %d): remove one", first)
			continue
		}
		seen[full] = key.Line
		k, known := w.keys[full]
		switch {
		case known:
			w.leaf(k, value)
		case w.under(full+".") != "":
			w.section(value, full+".")
		default:
			w.fault(w.at(key), full, key.Line, "there is no such key%s", w.suggestion(full))
		}
	}
}

// under is the first key of a section, or "" where there is no such section.
func (w *yamlWalk) under(prefix string) string {
	for _, k := range w.loader.keys {
		if strings.HasPrefix(k.name, prefix) {
			return k.name
		}
	}
	return ""
}

func (w *yamlWalk) leaf(k configKey, n *yaml.Node) {
	from := origin{"file", w.at(n)}
	switch n.Kind {
	case yaml.ScalarNode:
		if n.Tag == "!!null" {
			w.fault(w.at(n), k.name, n.Line, "the key has no value: leave it out for its default, or write \"\" for none")
			return
		}
		w.set(k, from, []string{n.Value}, false, n.Line)
	case yaml.SequenceNode:
		values := make([]string, 0, len(n.Content))
		for _, item := range n.Content {
			if item.Kind != yaml.ScalarNode {
				w.fault(w.at(item), k.name, item.Line, "the list holds something that is no plain value")
				return
			}
			values = append(values, item.Value)
		}
		w.set(k, from, values, true, n.Line)
	default:
		w.fault(w.at(n), k.name, n.Line, "this is a section or an alias, and the key takes a value")
	}
}

// suggestion names the key or section that was likely meant: the one of least
// edit distance, at most 2, or one that ends alike.
func (w *yamlWalk) suggestion(name string) string {
	best, least := "", 3
	for _, k := range w.loader.keys {
		for full := k.name; full != ""; full = full[:max(0, strings.LastIndexByte(full, '.'))] {
			d := policy.EditDistance(name, full)
			if strings.HasSuffix(full, "."+name) {
				d = min(d, 2)
			}
			if d < least {
				best, least = full, d
			}
		}
	}
	if best == "" {
		return ": remove it, or see restraint serve --help for all keys"
	}
	return fmt.Sprintf(": did you mean %s?", best)
}
