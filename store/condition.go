package store

import "time"

// Traffic is how much mail there was from one time to another: messages accepted,
// entries put into maildrops, and recipients of the other kinds.
type Traffic struct {
	From, To                                               time.Time
	Received, Delivered, Sent, Deferred, Bounced, Rejected int64
}

// Numbers are what a monitoring asks for often, besides the Counts.
type Numbers struct {
	Since   Traffic // since the store was opened; without times
	Disk    Disk
	Sending int64 // recipients that somebody works on
	Failing int64 // destinations at which nobody could be reached in the last round
}

// A Condition is how the store is doing, apart from its Counts.
type Condition struct {
	Ages    []int64 // recipients that wait, by how long: see ConditionQuery
	Disk    Disk
	Full    []FullAccount // the fullest of them
	Fulls   int64         // how many there are
	Failing []Health      // destinations that mail waits for and nobody can be reached at, some of them
	Fails   int64         // how many there are
	Backup  *BackupNote   // the last one; nil if none is known
}

// A ConditionQuery says what is to be looked at.
type ConditionQuery struct {
	// Since are times, the latest first: what came in after the first of them is the
	// first of Condition.Ages, what came before the last of them is the last.
	Since   []time.Time
	Percent int64 // of its quota that an account has used to be in Full
	Most    int   // entries of Full and Failing
}

// A Disk is the space where the data is, in octets.
type Disk struct {
	Free, Size int64
	Reserve    int64 // below it, no new mail is taken
	Database   int64
	WAL        int64 // what is written but not yet in the database file
}

// A FullAccount has used much of its quota.
type FullAccount struct {
	Address string
	Percent int64
}

// A BackupNote says where a backup went, and when.
type BackupNote struct {
	At   time.Time
	File string
	Size int64
}
