package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// grouped is n with commas between thousands.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// plural is "1 fault", "2 faults".
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return grouped(int64(n)) + " " + what + "s"
}

// roughSize is a size for people: 12.3 MiB.
func roughSize(n int64) string {
	for _, u := range sizeUnits[:4] {
		if Bytes(n) >= u.size {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(u.size), u.name)
		}
	}
	return strconv.FormatInt(n, 10) + " B"
}

// roughTime is a duration for people, in its two largest units: 3d 4h.
func roughTime(d time.Duration) string {
	s := int64(d.Round(time.Second) / time.Second)
	switch {
	case s >= 24*3600:
		return fmt.Sprintf("%dd %dh", s/(24*3600), s/3600%24)
	case s >= 3600:
		return fmt.Sprintf("%dh %dm", s/3600, s/60%60)
	case s >= 60:
		return fmt.Sprintf("%dm %ds", s/60, s%60)
	}
	return fmt.Sprintf("%ds", s)
}

// roughRate is a false-positive rate: 1 in 10,000.
func roughRate(rate float64) string {
	if !(rate > 0) {
		return "none"
	}
	if rate < 1e-9 {
		return "under 1 in 1,000,000,000"
	}
	return "1 in " + grouped(int64(math.Round(1/rate)))
}

// printAnswer prints a node's JSON as YAML blocks, which keep its order and are
// easier to read; what is no JSON is printed as it is.
func printAnswer(w io.Writer, body []byte) error {
	var document yaml.Node
	text := strings.TrimSpace(string(body))
	if json.Valid(body) && yaml.Unmarshal(body, &document) == nil {
		plainStyle(&document)
		if out, err := yaml.Marshal(&document); err == nil {
			text = strings.TrimSpace(string(out))
		}
	}
	if text == "" {
		return nil
	}
	_, err := fmt.Fprintln(w, text)
	return err
}

func plainStyle(n *yaml.Node) {
	n.Style = 0
	for _, c := range n.Content {
		plainStyle(c)
	}
}
