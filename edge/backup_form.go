package edge

// Kinds of the sections of a backup (see package backup), in the order in which they stand in it. A kind that is not known is of a later program.
const (
	// backupPolicy is one version of the policy, named by its number: JSON as it is kept on disk.
	backupPolicy = "policy"
	// backupDocument is a joined document under its name: what was counted, dialled back, and came of pilots, and the heads of audit logs.
	backupDocument = "document"
	// backupPrevious and backupList are a generation of the list of that name: 4 length of the shipment, little-endian, the shipment, the key file.
	// backupPrevious is the one to roll back to, and comes first; a list may have neither.
	backupPrevious = "previous"
	backupList     = "list"
	// backupChanges are changes of the list since: 8 sequence, 4 length, little-endian, a change as the stream of lists has it; and so on.
	backupChanges = "changes"
	// backupCounters is what the Keeper's Export writes.
	backupCounters = "counters"
)

// FormerHeads is the folder, in the data directory of a node that was made from a backup, with the heads of the audit logs of before. They prove a copy
// of such a log; they are not those of the log that the node has begun since.
const FormerHeads = "former"
