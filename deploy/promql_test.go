package deploy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// metricSelector is a metric as a query names it.
type metricSelector struct {
	name   string
	labels map[string]string // by name; the value with its operator, such as ="show"
	ranged bool
}

// query is what a PromQL expression asks for. It knows the part of the language that the
// alerts and the dashboard use (https://prometheus.io/docs/prometheus/latest/querying/).
type query struct {
	tokens    []string
	at        int
	selectors []metricSelector
	grouped   []string // labels of by, on and group_left
}

var tokenPattern = regexp.MustCompile(`^(?:"(?:[^"\\]|\\.)*"|\d+(?:ms|[smhdwy])|\d+(?:\.\d+)?(?:e-?\d+)?|[a-zA-Z_:][a-zA-Z0-9_:]*|=~|!~|!=|<=|>=|==|[-+*/%^(){}\[\],=<>])`)

// parseQuery returns an error that names what it does not understand.
func parseQuery(text string) (*query, error) {
	q := &query{}
	for rest := strings.TrimSpace(text); rest != ""; {
		token := tokenPattern.FindString(rest)
		if token == "" {
			return nil, fmt.Errorf("%q is not understood", rest)
		}
		q.tokens = append(q.tokens, token)
		rest = strings.TrimSpace(rest[len(token):])
	}
	err := q.binary(0)
	if err == nil && q.at < len(q.tokens) {
		err = fmt.Errorf("%q stands where the query should end", q.tokens[q.at])
	}
	return q, err
}

func (q *query) peek() string {
	if q.at < len(q.tokens) {
		return q.tokens[q.at]
	}
	return ""
}

// take takes the token if it is one of those.
func (q *query) take(tokens ...string) bool {
	if !slices.Contains(tokens, q.peek()) || q.peek() == "" {
		return false
	}
	q.at++
	return true
}

func (q *query) must(token string) error {
	if !q.take(token) {
		return fmt.Errorf("%q where %q should be, after %q", q.peek(), token, strings.Join(q.tokens[:q.at], " "))
	}
	return nil
}

// operators by how closely they bind.
var operators = [][]string{{"or"}, {"and", "unless"}, {"==", "!=", "<=", "<", ">=", ">"}, {"+", "-"}, {"*", "/", "%"}, {"^"}}

func (q *query) binary(level int) error {
	if level == len(operators) {
		return q.operand()
	}
	if err := q.binary(level + 1); err != nil {
		return err
	}
	for q.take(operators[level]...) {
		q.take("bool")
		if q.take("on", "ignoring") {
			if err := q.labels(); err != nil {
				return err
			}
			if q.take("group_left", "group_right") && q.peek() == "(" {
				if err := q.labels(); err != nil {
					return err
				}
			}
		}
		if err := q.binary(level + 1); err != nil {
			return err
		}
	}
	return nil
}

// labels reads (a, b).
func (q *query) labels() error {
	if err := q.must("("); err != nil {
		return err
	}
	for !q.take(")") {
		if !isName(q.peek()) {
			return fmt.Errorf("%q is no label", q.peek())
		}
		q.grouped = append(q.grouped, q.peek())
		q.at++
		if !q.take(",") && q.peek() != ")" {
			return fmt.Errorf("%q between labels", q.peek())
		}
	}
	return nil
}

var namePattern = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)

func isName(s string) bool { return namePattern.MatchString(s) }

// Functions by how many arguments they take, with those that take a range.
var (
	functions  = map[string]int{"rate": 1, "increase": 1, "changes": 1, "max_over_time": 1, "abs": 1, "time": 0, "histogram_quantile": 2, "clamp_min": 2, "scalar": 1}
	ranges     = []string{"rate", "increase", "changes", "max_over_time"}
	aggregates = map[string]int{"sum": 1, "min": 1, "max": 1, "count": 1, "avg": 1, "topk": 2}
)

func (q *query) operand() error {
	token := q.peek()
	switch {
	case token == "":
		return fmt.Errorf("the query ends after %q", strings.Join(q.tokens, " "))
	case q.take("-", "+"):
		return q.operand()
	case q.take("("):
		if err := q.binary(0); err != nil {
			return err
		}
		return q.must(")")
	case token[0] >= '0' && token[0] <= '9':
		q.at++
		return nil
	case !isName(token):
		return fmt.Errorf("%q is no value", token)
	}
	q.at++
	arguments, aggregate := aggregates[token]
	if aggregate && q.take("by", "without") {
		if err := q.labels(); err != nil {
			return err
		}
	}
	if q.peek() == "(" {
		if n, ok := functions[token]; ok {
			arguments = n
		} else if !aggregate {
			return fmt.Errorf("there is no function %q", token)
		}
		return q.call(token, arguments)
	}
	if aggregate {
		return fmt.Errorf("%q of nothing", token)
	}
	return q.selector(token)
}

// call reads the arguments of a function or an aggregate.
func (q *query) call(name string, arguments int) error {
	q.at++
	before := len(q.selectors)
	for i := range arguments {
		if i > 0 {
			if err := q.must(","); err != nil {
				return err
			}
		}
		if err := q.binary(0); err != nil {
			return err
		}
	}
	if err := q.must(")"); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if slices.Contains(ranges, name) && (len(q.selectors) != before+1 || !q.selectors[before].ranged) {
		return fmt.Errorf("%s is of no range, such as [5m]", name)
	}
	return nil
}

func (q *query) selector(name string) error {
	s := metricSelector{name: name, labels: map[string]string{}}
	if q.take("{") {
		for !q.take("}") {
			label := q.peek()
			q.at++
			operator := q.peek()
			if !isName(label) || !q.take("=", "!=", "=~", "!~") || !strings.HasPrefix(q.peek(), `"`) {
				return fmt.Errorf("%s: %q %q %q is no match of a label", name, label, operator, q.peek())
			}
			s.labels[label] = operator + q.peek()
			q.at++
			if !q.take(",") && q.peek() != "}" {
				return fmt.Errorf("%s: %q between labels", name, q.peek())
			}
		}
	}
	if s.ranged = q.take("["); s.ranged {
		if err := q.duration(); err != nil {
			return err
		}
		if err := q.must("]"); err != nil {
			return err
		}
	}
	if q.take("offset") {
		if err := q.duration(); err != nil {
			return err
		}
	}
	q.selectors = append(q.selectors, s)
	return nil
}

var durationPattern = regexp.MustCompile(`^\d+(ms|[smhdwy])$`)

func (q *query) duration() error {
	if !durationPattern.MatchString(q.peek()) {
		return fmt.Errorf("%q is no time", q.peek())
	}
	q.at++
	return nil
}

// The parser takes what is right and finds what is wrong.
func TestQueries(t *testing.T) {
	q, err := parseQuery(`sum by (reason) (rate(m_total{verdict="skip",reason!~"a|b"}[30m] offset 1d)) / on () group_left () sum(rate(m_total[5m])) > 2 * (max(up) - 1) and abs(x) == 1`)
	if err != nil || len(q.selectors) != 4 || q.selectors[0].labels["reason"] != `!~"a|b"` || !slices.Equal(q.grouped, []string{"reason"}) {
		t.Errorf("%+v, %v", q, err)
	}
	for _, bad := range []string{
		``, `sum(`, `sum(x`, `sum by (reason (x)`, `rate(x)`, `rate(sum(x)[5m])`, `x[5]`, `x[5m`, `x{a=b}`, `x{a="b"`, `x >`, `x y`, `frate(x[5m])`,
		`histogram_quantile(x)`, `x{a="b" c="d"}`, `sum`, `x offset`, `x = 1`, `rate(x[5m], 2)`, `$x`, `by (a) (x)`,
	} {
		if _, err := parseQuery(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
