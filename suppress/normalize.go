package suppress

// Schemes are the values of Import.Normalize.
func Schemes() []string { return []string{None} }

// normalize appends the canonical form of an identifier in an upload.
func normalize(dst []byte, scheme, source string, id []byte) ([]byte, error) {
	return Canonical(dst, source, id)
}
