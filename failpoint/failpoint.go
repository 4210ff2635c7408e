// Package failpoint names the moments at which a crash leaves something else on
// disk than a moment before: before and after each write, sync, commit, send,
// upload and write of a key. Code that gets to one of them says so with [Here].
//
// In a release that is an empty function, which the compiler removes. A program
// that is built with the tag failpoint ends itself with SIGKILL at a point that
// its environment names:
//
//	SLUICE_FAILPOINT=block.written:3    at the third arrival at block.written
//	SLUICE_FAILPOINT_LOG=FILE           append each point's name at its first arrival
//
// So a drill can play a crash at every point (bench/crash), and knows which ones
// it has reached. docs/decisions/0017-crash-points.md says why it is done like this.
package failpoint

// Point is a moment. Its name is its text in SLUICE_FAILPOINT.
type Point uint8

// The log, as segment files keep it.
const (
	BlockWriting     Point = iota // a block is about to be written
	BlockWritten                  // it is written and not synced
	BlockZeroed                   // so are the zeros behind it
	BlockSynced                   // all is synced; nobody was answered yet
	SegmentCreated                // a file is there and has no space
	SegmentAllocated              // it has space; its name is not synced
	SegmentNamed                  // its name is synced
	FooterWriting                 // the next file has its first block; this one gets a footer
	FooterWritten                 // the footer is written; unused space lies behind it
	FooterCut                     // the space is given back; nothing is synced
	FooterSynced                  // the footer is synced
	SegmentTrimming               // retention is about to remove a file
	SegmentUnlinked               // it is removed; the folder is not synced
	SegmentForgotten              // the folder is synced; nobody has counted what expired
	SegmentDiscarded              // a file that never held a block is removed; the next one is not made
	EndSynced                     // a start has synced the newest file; nothing of it was read
	RestCut                       // a start has given back the space behind a footer; nothing is synced
	RestSynced                    // it is synced
	AnchorWriting                 // the log's end is about to be noted in the control state
	AnchorWritten                 // it is noted

	// Control state.
	CommitBeginning // changes are about to be written
	CommitWriting   // they are written and not committed
	CommitWritten   // they are committed; nobody was answered yet
	MarkWriting     // they are committed; a mark shall tell that the write-ahead log is needed
	MarkWritten     // the mark is written and not synced
	SchemaWriting   // tables are made, or brought up to date, and not committed
	SchemaWritten   // they are committed; the file has been told nothing else

	// Copies of the control state, and what takes its place.
	CopyWritten      // a copy is written and not synced
	SnapshotCopied   // a snapshot is whole under another name
	SnapshotNamed    // it has its name; the folder is not synced
	SnapshotDropped  // an older one of the same hour is removed; others may be left
	ReplacementMade  // what is to take the control state's place is whole under another name
	ReplacedAside    // a file of the old one is renamed
	ReplacedGone     // all are, durably: there is no control state
	ReplacementNamed // the new one is in place; the folder is not synced

	// Backups.
	FileCopied      // a file of a backup, or of a restored folder, is written and not synced
	FileSynced      // it is synced under another name
	FileNamed       // it has its name; the folder is not synced
	ManifestWritten // the list of files is whole under another name
	ManifestNamed   // it has its name: the new backup is the one; files of the one before are there
	BackupSwept     // they are gone
	RestoreFilled   // a restored folder has its log and perhaps its key, and no control state

	// Delivery.
	SendBeginning    // a batch is about to be sent
	SendAnswered     // there is an answer; nothing was concluded from it
	CursorWriting    // cursors and counts are about to be written
	CursorWritten    // they are written; the deliverer does not know
	TailWriting      // so with the position of the tail
	TailWritten      // and after it
	QuarantineCopied // events are copied aside; the lane still has them before it
	QuarantineListed // the lane's record names the copies
	QuarantineLeft   // an event has left the list; its copy is there
	QuarantineErased // the copy is gone
	ObjectBuilding   // an object was begun in the spool
	ObjectBuilt      // it is whole; there is no plan
	ObjectErased     // its file is gone; it is stored, or given up
	UploadBeginning  // the plan is durable; the object is about to be stored
	UploadAnswered   // there is an answer; nothing was concluded from it
	NoticeTold       // an event about a stream is in the log and still in the lane's outbox
	StreamErasing    // a removed stream's records are about to be deleted
	StreamErased     // they are gone; the stream's own record says that it is being deleted

	// The key file.
	KeysWriting  // the new file is there under another name, and empty
	KeysWritten  // it is written and not synced
	KeysSynced   // it is synced
	KeysLinked   // a first key file has both names
	KeysPlaced   // it is in place; the folder is not synced
	KeysNamed    // all is synced
	RotationTold // a rotation is in the log; there is no new key
	RotationDone // there is one; nothing is sealed with it
	ResealDone   // a stream's secrets are sealed anew; others may not be
	PruneTold    // removing keys is in the log; they are there

	// Use cases.
	OutboxTold         // an event is in the log and still in its record's outbox
	OutboxSettled      // it has left the outbox
	RecordBuried       // a record that ended is gone; its claims are there
	NamespaceNumbered  // learned namespaces have numbers and no records
	NamespaceLearned   // they have records; the position is where it was
	LearnerWritten     // the position is stored
	TokenClaimed       // a token's text is claimed; there is no record
	TokenCreated       // there is a record; nobody was answered yet
	TokenRevoked       // it is revoked
	UserClaimed        // so with a user's name
	UserCreated        // and its record
	SessionCreated     // a session is stored; nobody has the cookie
	SessionEnded       // it has ended
	StreamClaimed      // a stream's place and name are claimed; there is no record
	StreamCreated      // there is a record; delivery does not know
	StreamRenaming     // a stream's new name is claimed; the record has the old one
	StreamRenamed      // the record has it; the old one is still claimed
	DeletionStored     // a stream's secrets are destroyed; delivery has stopped, and knows it still
	DeletionDelivered  // delivery has forgotten the stream; its end was not told
	DeletionTold       // the end is in the outbox; name and place are still claimed
	DeletionReleased   // they are released
	IdentityGiven      // the log has an identity; there are no files
	StateCreated       // the control state's file is there and empty
	StatePrepared      // it has its tables
	AdministratorGiven // the first start has made its administrator
	ReserveWriting     // the file that takes space for a full disk is there, and empty
	ReserveWritten     // it is whole

	// The search index.
	IndexWriting  // a change is written and not committed
	IndexWritten  // it is committed
	IndexRenewed  // an empty index stands beside the damaged one
	IndexSwitched // the new one is the index; the old one is there
	IndexErased   // the old one is gone
	IndexUnlinked // a file of an index that is of no use is gone; those beside it are there

	count
)

// Points returns all points.
func Points() []Point {
	list := make([]Point, count)
	for i := range list {
		list[i] = Point(i)
	}
	return list
}

// String returns the name.
func (p Point) String() string {
	if p >= count {
		return "unknown"
	}
	return names()[p]
}

func names() *[count]string {
	return &[count]string{
		BlockWriting: "block.writing", BlockWritten: "block.written", BlockZeroed: "block.zeroed", BlockSynced: "block.synced",
		SegmentCreated: "segment.created", SegmentAllocated: "segment.allocated", SegmentNamed: "segment.named",
		FooterWriting: "footer.writing", FooterWritten: "footer.written", FooterCut: "footer.cut", FooterSynced: "footer.synced",
		SegmentTrimming: "segment.trimming", SegmentUnlinked: "segment.unlinked", SegmentForgotten: "segment.forgotten", SegmentDiscarded: "segment.discarded",
		EndSynced: "end.synced", RestCut: "rest.cut", RestSynced: "rest.synced",
		AnchorWriting: "anchor.writing", AnchorWritten: "anchor.written",
		CommitBeginning: "commit.beginning", CommitWriting: "commit.writing", CommitWritten: "commit.written",
		MarkWriting: "mark.writing", MarkWritten: "mark.written",
		SchemaWriting: "schema.writing", SchemaWritten: "schema.written",
		CopyWritten: "copy.written", SnapshotCopied: "snapshot.copied", SnapshotNamed: "snapshot.named", SnapshotDropped: "snapshot.dropped",
		ReplacementMade: "replacement.made", ReplacedAside: "replaced.aside", ReplacedGone: "replaced.gone", ReplacementNamed: "replacement.named",
		FileCopied: "file.copied", FileSynced: "file.synced", FileNamed: "file.named",
		ManifestWritten: "manifest.written", ManifestNamed: "manifest.named", BackupSwept: "backup.swept", RestoreFilled: "restore.filled",
		SendBeginning: "send.beginning", SendAnswered: "send.answered",
		CursorWriting: "cursor.writing", CursorWritten: "cursor.written", TailWriting: "tail.writing", TailWritten: "tail.written",
		QuarantineCopied: "quarantine.copied", QuarantineListed: "quarantine.listed",
		QuarantineLeft: "quarantine.left", QuarantineErased: "quarantine.erased",
		ObjectBuilding: "object.building", ObjectBuilt: "object.built", ObjectErased: "object.erased",
		UploadBeginning: "upload.beginning", UploadAnswered: "upload.answered",
		NoticeTold: "notice.told", StreamErasing: "stream.erasing", StreamErased: "stream.erased",
		KeysWriting: "keys.writing", KeysWritten: "keys.written", KeysSynced: "keys.synced", KeysLinked: "keys.linked", KeysPlaced: "keys.placed", KeysNamed: "keys.named",
		RotationTold: "rotation.told", RotationDone: "rotation.done", ResealDone: "reseal.done", PruneTold: "prune.told",
		OutboxTold: "outbox.told", OutboxSettled: "outbox.settled", RecordBuried: "record.buried",
		NamespaceNumbered: "namespace.numbered", NamespaceLearned: "namespace.learned", LearnerWritten: "learner.written",
		TokenClaimed: "token.claimed", TokenCreated: "token.created", TokenRevoked: "token.revoked",
		UserClaimed: "user.claimed", UserCreated: "user.created", SessionCreated: "session.created", SessionEnded: "session.ended",
		StreamClaimed: "stream.claimed", StreamCreated: "stream.created", StreamRenaming: "stream.renaming", StreamRenamed: "stream.renamed",
		DeletionStored: "deletion.stored", DeletionDelivered: "deletion.delivered", DeletionTold: "deletion.told", DeletionReleased: "deletion.released",
		IdentityGiven: "identity.given", StateCreated: "state.created", StatePrepared: "state.prepared", AdministratorGiven: "administrator.given",
		ReserveWriting: "reserve.writing", ReserveWritten: "reserve.written",
		IndexWriting: "index.writing", IndexWritten: "index.written", IndexRenewed: "index.renewed",
		IndexSwitched: "index.switched", IndexErased: "index.erased", IndexUnlinked: "index.unlinked",
	}
}
