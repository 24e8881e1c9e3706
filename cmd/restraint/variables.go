package main

import (
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"

	"restraint/edge/policy"
)

// variablePrefix is what the names of this program's environment variables begin with.
const variablePrefix = "RESTRAINT_"

// keyVariable has the access key of commands that talk to a node. A node reads none.
const keyVariable = variablePrefix + "KEY"

// serviceLinks are variables that Kubernetes gives every container for a service named
// restraint, or restraint-admin, unless enableServiceLinks is false.
var serviceLinks = regexp.MustCompile(`^RESTRAINT_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

// environment is the names of this process's environment variables.
func environment() (names []string) {
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		names = append(names, name)
	}
	return names
}

// loadConfig is loadConfig with the environment of the process, in which a variable of no
// key is a fault too: it was meant to say something.
func (p *process) loadConfig(path string, flags map[string]string, requestClock bool) (Config, error) {
	c, err := loadConfig(path, flags, requestClock, p.lookup)
	var faults configFaults
	if err != nil && !errors.As(err, &faults) {
		return c, err
	}
	if p.variables != nil {
		faults = append(faults, strangeVariables(p.variables(), c.keys())...)
	}
	if len(faults) > 0 {
		return c, faults
	}
	return c, nil
}

func strangeVariables(names []string, keys []configKey) (faults configFaults) {
	slices.Sort(names)
	for _, name := range names {
		if !strings.HasPrefix(name, variablePrefix) || name == keyVariable || serviceLinks.MatchString(name) || slices.ContainsFunc(keys, func(k configKey) bool { return k.env() == name }) {
			continue
		}
		what := "there is no such key: unset it, or see restraint serve --help for all keys"
		least := 3
		for _, k := range keys {
			if d := policy.EditDistance(name, k.env()); d < least {
				least, what = d, "there is no such key: did you mean "+k.env()+"?"
			}
		}
		faults = append(faults, configFault{name, "", what, orderEnvironment})
	}
	return faults
}
