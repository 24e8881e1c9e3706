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

// loadConfig is loadConfig with the environment of the process, in which a variable that is
// nearly one of a key is a fault too: it was meant to say something. One that is like none
// may be somebody else's; it is among the strays, of which people are told.
func (p *process) loadConfig(path string, flags map[string]string, requestClock bool) (Config, error) {
	c, err := loadConfig(path, flags, requestClock, p.lookup)
	var faults configFaults
	if err != nil && !errors.As(err, &faults) {
		return c, err
	}
	if p.variables != nil {
		misspelt, strays := strangeVariables(p.variables(), c.keys())
		faults, c.Strays = append(faults, misspelt...), strays
	}
	if len(faults) > 0 {
		return c, faults
	}
	return c, nil
}

func strangeVariables(names []string, keys []configKey) (misspelt configFaults, strays []string) {
	slices.Sort(names)
	for _, name := range names {
		if !strings.HasPrefix(name, variablePrefix) || name == keyVariable || serviceLinks.MatchString(name) || slices.ContainsFunc(keys, func(k configKey) bool { return k.env() == name }) {
			continue
		}
		// One letter in five may be wrong: of short names many are a letter apart.
		least, meant := (len(name)-len(variablePrefix))/5+1, ""
		for _, k := range keys {
			if d := policy.EditDistance(name, k.env()); d < least {
				least, meant = d, k.env()
			}
		}
		if meant == "" {
			strays = append(strays, name)
		} else {
			misspelt = append(misspelt, configFault{name, "", "there is no such key: did you mean " + meant + "?", orderEnvironment})
		}
	}
	return misspelt, strays
}
