package main

import (
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"text/tabwriter"
)

// configFlags are the configuration's keys as flags, made from the table of keys.
type configFlags struct {
	names  []string
	fields reflect.Value // a struct with one *string for each name, in order
}

// build returns a pointer to the struct whose fields kong fills.
func (f *configFlags) build() any {
	defaults := defaultConfig()
	var fields []reflect.StructField
	for i, k := range defaults.keys() {
		help := fmt.Sprintf("%s (%s)", k.help, k.env())
		if v := k.value.String(); v != "" && k.name != "node" {
			help = fmt.Sprintf("%s (%s; default %s)", k.help, k.env(), v)
		}
		tag := fmt.Sprintf(`name:%q help:%q placeholder:"VALUE" group:"Configuration, each over environment and file:"`, k.flag(), help)
		fields = append(fields, reflect.StructField{
			Name: "F" + strconv.Itoa(i), Type: reflect.TypeFor[*string](), Tag: reflect.StructTag(tag),
		})
		f.names = append(f.names, k.name)
	}
	target := reflect.New(reflect.StructOf(fields))
	f.fields = target.Elem()
	return target.Interface()
}

// given returns the values of the flags that stood on the command line, by key.
func (f *configFlags) given() map[string]string {
	given := map[string]string{}
	for i, name := range f.names {
		if v := f.fields.Field(i).Interface().(*string); v != nil {
			given[name] = *v
		}
	}
	return given
}

// printConfig writes the configuration as a file that could be read again
// (passwords in addresses aside), with a comment on where each value came from.
func printConfig(w io.Writer, c *Config) error {
	var text strings.Builder
	tw := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	var open []string // sections that the last key stood in
	for _, k := range c.keys() {
		path := strings.Split(k.name, ".")
		sections := path[:len(path)-1]
		for i, section := range sections {
			if i >= len(open) || open[i] != section {
				open = nil
				_, _ = fmt.Fprintf(tw, "%s%s:\t\n", strings.Repeat("  ", i), section)
			}
		}
		open = sections
		_, _ = fmt.Fprintf(tw, "%s%s: %s\t# %s\n", strings.Repeat("  ", len(sections)), path[len(path)-1], yamlValue(k.value), c.from(k.name))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(text.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// from says where the value of a key came from.
func (c *Config) from(key string) string {
	o, ok := c.origins[key]
	if !ok {
		return "default"
	}
	return o.source + ", " + o.where
}

func yamlValue(v value) string {
	if list, ok := v.(*urls); ok {
		items := make([]string, len(*list))
		for i, s := range *list {
			items[i] = strconv.Quote(redacted(s))
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	s := v.String()
	if plainYAML.MatchString(s) && s != "null" {
		return s
	}
	return strconv.Quote(s)
}

// plainYAML matches what needs no quotes in YAML, and a little less.
var plainYAML = regexp.MustCompile(`^[A-Za-z0-9./_]([A-Za-z0-9./:_-]*[A-Za-z0-9./_-])?$`)
