package auth

import (
	"crypto/sha256"
	"sync"

	"postroom/store"
)

// lent are passwords that the server made for itself. They are nowhere but in memory:
// a crash ends them.
type lent struct {
	mu sync.Mutex
	by map[[sha256.Size]byte]store.AccountID
}

// lentName stands among the last logins where the name of an app password does.
const lentName = "postroom’s own test mail"

// Lend returns a password with which the server itself can log in to an account, as a
// mail program does, until giveBack is called. It doesn't open the web page, and
// nothing of it is kept. A disabled account stays shut.
func (a *Authenticator) Lend(account store.AccountID) (password string, giveBack func()) {
	password, hash := NewAppPassword()
	a.lent.mu.Lock()
	defer a.lent.mu.Unlock()
	if a.lent.by == nil {
		a.lent.by = make(map[[sha256.Size]byte]store.AccountID)
	}
	a.lent.by[hash] = account
	return password, func() {
		a.lent.mu.Lock()
		defer a.lent.mu.Unlock()
		delete(a.lent.by, hash)
	}
}

// opens reports whether a password was lent for an account.
func (l *lent) opens(account store.AccountID, password string) bool {
	hash, ok := hashAppPassword(password)
	if !ok {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	owner, ok := l.by[hash]
	return ok && owner == account
}
