package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/alecthomas/kong"

	"restraint/edge/access"
	"restraint/edge/identity"
	"restraint/edge/policy"
)

// checkCmd validates configuration and policy. Its --policy is the
// configuration's key.
type checkCmd struct {
	Config string `help:"Configuration file; none: everything has its default." placeholder:"FILE"`
	People bool   `help:"Print for each campaign the most showings a person can get, the sentence they would read, and its fate in the strictest market."`
	kong.Plugins
	keys configFlags
}

// Run reports every fault of both files at once.
func (c *checkCmd) Run(p *process) error {
	cfg, configErr := p.loadConfig(c.Config, c.keys.given(), false)
	var faults checkFaults
	if configErr != nil {
		faults = append(faults, configErr)
	}
	if _, err := openCertificates(&cfg); err != nil {
		faults = append(faults, err)
	}
	if cfg.KeysFile != "" {
		if _, err := access.Read(cfg.KeysFile); err != nil {
			faults = append(faults, keysFault(err, cfg.KeysFile))
		}
	}
	if _, err := readEncryptKeys(&cfg); err != nil {
		faults = append(faults, err)
	}
	text, file, err := policyOf(&cfg)
	var source *policy.Source
	if err == nil {
		source, err = policy.Parse(text, file)
	}
	if err != nil {
		faults = append(faults, err)
	}
	if len(faults) > 0 {
		return faults
	}
	compiled := compileAny(p, source)
	if c.People {
		return policy.WritePeople(p.stdout, compiled.People())
	}
	if _, err = fmt.Fprintf(p.stdout, "configuration (%s) and policy (%s) are without fault\n", nameOr(c.Config, "defaults"), file); err != nil {
		return err
	}
	for _, name := range cfg.Strays {
		if _, err := fmt.Fprintf(p.stdout, "note: %s: no setting has this variable; unset it if it was meant for this program\n", name); err != nil {
			return err
		}
	}
	for _, note := range compiled.Notes() {
		if _, err := fmt.Fprintf(p.stdout, "note: %s: %s\n", note.Key, note.Text); err != nil {
			return err
		}
	}
	return nil
}

// compileAny compiles the policy for what can be said of it.
func compileAny(p *process, source *policy.Source) *policy.Policy {
	// Any secret will do: tags show in nothing that is printed.
	secret, err := identity.ParseSecret(bytes.Repeat([]byte{1}, identity.SecretSize))
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return policy.Compile(source, policy.Options{
		Tagger: identity.NewTags(secret).Tag, Version: 1, Now: uint32(p.now().Unix()),
	})
}

// policyOf reads the policy that a node with this configuration would start
// with: the file, or the built-in example where nobody named one.
func policyOf(cfg *Config) (text []byte, file string, err error) {
	if !cfg.Given("policy") && !fileExists(cfg.Policy) {
		return policy.Example, "the built-in example, as there is no " + cfg.Policy, nil
	}
	text, err = readPolicy(cfg.Policy, nil)
	return text, cfg.Policy, err
}

func nameOr(name, other string) string {
	if name == "" {
		return other
	}
	return name
}

// checkFaults are what check found in each file.
type checkFaults []error

// Error has the faults of one file after those of the other.
func (fs checkFaults) Error() string {
	var b strings.Builder
	for i, err := range fs {
		if i > 0 {
			b.WriteString("\n")
		}
		var faults policy.Faults
		if errors.As(err, &faults) {
			fmt.Fprintf(&b, "the policy has %s", plural(len(faults), "fault"))
			for _, f := range faults {
				b.WriteString("\n  " + f.Error())
			}
			continue
		}
		b.WriteString(err.Error())
	}
	return b.String()
}
