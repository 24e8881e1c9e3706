package main

import (
	"log/slog"

	"restraint/edge"
)

// openCertificates reads what the configuration names of TLS; nil where it names no
// certificate. Whatever is wrong with the files is a wrong configuration.
func openCertificates(cfg *Config) (*edge.Certificates, error) {
	if cfg.TLS.Cert == "" || cfg.TLS.Key == "" {
		return nil, nil // the configuration itself is at fault where one is given
	}
	c, err := edge.ReadCertificates(edge.CertificateFiles(cfg.TLS))
	if err != nil {
		return nil, wrongUse("%w", err)
	}
	return c, nil
}

// reloadCertificates puts the certificates of the files in force; what is wrong with
// them is logged and those in force stay.
func reloadCertificates(c *edge.Certificates, log *slog.Logger) {
	if c == nil {
		return
	}
	if err := c.Reload(); err != nil {
		log.Error("certificates not reloaded, those in force stay", "error", err.Error())
		return
	}
	log.Info("certificates in force", "expires", c.Expires().UTC())
}
