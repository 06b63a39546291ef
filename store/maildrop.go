package store

import (
	"time"

	"postroom/store/mail"
)

// An Entry is one message as it appears in one maildrop. Its message's ID is
// its own: a message enters a maildrop once.
type Entry struct {
	Message MessageID
	UID     UID
	Size    int64 // octets as retrieved, Return-Path and Delivered-To included
}

// A Removal asks for entries to leave a maildrop, all or none.
type Removal struct {
	Account  AccountID
	At       time.Time
	Messages []MessageID // in ascending order; ones that are gone already are passed over
	Client   string      // the client's address, for the trace
	Protocol string      // "pop3", "pop3s"
}

// A Collection is one complete RETR, for the trace.
type Collection struct {
	Message  MessageID
	Account  AccountID
	At       time.Time
	Client   string // the client's address
	Protocol string
}

// A Usage says how full a maildrop is.
type Usage struct {
	Bytes    int64
	Messages int64
}

// A QuotaNotice is owed to an account whose maildrop has grown past Percent of
// its quota.
type QuotaNotice struct {
	Account AccountID
	Address mail.Address
	Percent int // 80 or 95
	Usage   Usage
	Quota   int64
}
