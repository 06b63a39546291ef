package auth

import (
	"container/list"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"

	"postroom/store"
)

const (
	maxRemembered  = 10_000
	rememberedFor  = time.Hour // of disuse
	rememberedKeys = 32        // octets of the key of a process
)

// A mark stands for one password of one account as its secret is now. It says
// nothing to who doesn't know the process's key; that is random, and is nowhere
// but in memory.
type mark [sha256.Size]byte

// remembered knows the passwords that have been verified, so that a mail program
// that polls doesn't cost a hash each time. A changed secret makes other marks.
type remembered struct {
	key  []byte
	mu   sync.Mutex
	by   map[mark]*list.Element
	used *list.List // of login, the one not used for longest in front
}

type login struct {
	mark    mark
	account store.AccountID
	used    time.Time
}

func newRemembered() *remembered {
	return &remembered{key: randomBytes(rememberedKeys), by: make(map[mark]*list.Element), used: list.New()}
}

// mark returns the mark of a password for an account.
func (r *remembered) mark(account store.Account, password string) mark {
	mac := hmac.New(sha256.New, r.key)
	var head [16]byte
	binary.BigEndian.PutUint64(head[:], uint64(account.ID))
	binary.BigEndian.PutUint64(head[8:], uint64(len(account.Secret.Hash)))
	mac.Write(head[:])
	mac.Write([]byte(account.Secret.Hash))
	mac.Write([]byte(password))
	return mark(mac.Sum(nil))
}

// has reports whether a mark is remembered, and keeps it for longer.
func (r *remembered) has(m mark, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.by[m]
	if e == nil {
		return false
	}
	l := e.Value.(login)
	if now.Sub(l.used) > rememberedFor {
		r.drop(e)
		return false
	}
	l.used = now
	e.Value = l
	r.used.MoveToBack(e)
	return true
}

// add remembers a mark, in place of the one not used for longest if there are too
// many.
func (r *remembered) add(account store.AccountID, m mark, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.by[m]; e != nil {
		r.drop(e)
	}
	r.by[m] = r.used.PushBack(login{m, account, now})
	if len(r.by) > maxRemembered {
		r.drop(r.used.Front())
	}
}

// forget drops all marks of an account.
func (r *remembered) forget(account store.AccountID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for e := r.used.Front(); e != nil; {
		next := e.Next()
		if e.Value.(login).account == account {
			r.drop(e)
		}
		e = next
	}
}

func (r *remembered) drop(e *list.Element) {
	delete(r.by, e.Value.(login).mark)
	r.used.Remove(e)
}
