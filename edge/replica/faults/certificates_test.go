package faults

import "restraint/edge/certtest"

// certificate names the files of one, and of the authority that is trusted with it.
type certificate struct{ ca, cert, key string }

func filesOf(c certtest.Certificate) certificate { return certificate{c.CA, c.Cert, c.Key} }

// flags are those of a node; those of files that are not named are left out.
func (c certificate) flags() (flags []string) {
	for _, f := range [][2]string{{"--nats-tls-ca", c.ca}, {"--nats-tls-cert", c.cert}, {"--nats-tls-key", c.key}} {
		if f[1] != "" {
			flags = append(flags, f[:]...)
		}
	}
	return flags
}
