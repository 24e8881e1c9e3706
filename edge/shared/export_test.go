package shared

// What tests need of the inside.
const (
	MaxDocuments = maxDocuments
	ListEvery    = listEvery
	AgainAfter   = againAfter
)

// Hold has j hold a document that is on no disk.
func (j *Joined) Hold(name string, form []byte) { j.documents[name] = &document{form: form} }
