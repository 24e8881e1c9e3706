package main

import (
	"regexp"
	"strings"
)

// plainWord is an argument that a shell takes as it is.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// commandLine is how this program was called, as a line for a POSIX shell, without the
// value of an access key.
func commandLine(args []string) string {
	words := []string{"restraint"}
	key := false
	for _, arg := range args {
		switch {
		case key:
			arg, key = "KEY", false
		case arg == "--key":
			key = true
		case strings.HasPrefix(arg, "--key="):
			arg = "--key=KEY"
		}
		if !plainWord.MatchString(arg) {
			arg = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
		words = append(words, arg)
	}
	return strings.Join(words, " ")
}
