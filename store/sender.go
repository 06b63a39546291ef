package store

import (
	"time"

	"postroom/store/mail"
)

// A Sender lets an account send as an address, with any tag, that mail for the
// account doesn't come by.
type Sender struct {
	Account AccountID
	Address mail.Address // without a local part: every address of the domain
	Created time.Time
}
