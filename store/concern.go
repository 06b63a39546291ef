package store

import (
	"net/netip"
	"time"
)

// A Concern is something that the admin should know and can mend.
type Concern struct {
	Key   string    // what it is about, so that it is there once: "blocklist zen.example"
	Text  string    // one sentence
	Cure  string    // the path of the page that helps, or empty
	Since time.Time // set by the store
	Seen  time.Time // the last time
}

// A LoginBlock keeps a network that guessed passwords from logging in for a while.
type LoginBlock struct {
	Network  netip.Prefix
	Since    time.Time
	Until    time.Time
	Failures int
	Names    int    // how many login names were tried
	Protocol string // of the last try
}
