package auth

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// params are what argon2id (RFC 9106) is told.
type params struct {
	memory  uint32 // KiB
	time    uint32
	threads uint8
}

// current is OWASP's first minimum for argon2id. More memory would resist a thief
// of the database better; but a slot for each core must fit beside everything
// else in a small server's memory.
var current = params{memory: 19 * 1024, time: 2, threads: 1}

const (
	saltSize = 16
	keySize  = 32
)

// A hash is a password's argon2id hash.
type hash struct {
	params params
	salt   []byte
	key    []byte
}

// derive runs argon2id.
func derive(password string, salt []byte, p params) []byte {
	return argon2.IDKey([]byte(password), salt, p.time, p.memory, p.threads, keySize)
}

// equal compares in constant time.
func (h hash) equal(key []byte) bool { return subtle.ConstantTimeCompare(h.key, key) == 1 }

// String returns h in the PHC string format.
func (h hash) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		h.params.memory, h.params.time, h.params.threads,
		base64.RawStdEncoding.EncodeToString(h.salt), base64.RawStdEncoding.EncodeToString(h.key))
}

// parseHash is the inverse of String. It takes no parameters that would let one
// login use up the machine.
func parseHash(s string) (hash, bool) {
	part := strings.Split(s, "$")
	if len(part) != 6 || part[1] != "argon2id" || part[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return hash{}, false
	}
	var h hash
	n, err := fmt.Sscanf(part[3], "m=%d,t=%d,p=%d", &h.params.memory, &h.params.time, &h.params.threads)
	if err != nil || n != 3 {
		return hash{}, false
	}
	var saltErr, keyErr error
	h.salt, saltErr = base64.RawStdEncoding.DecodeString(part[4])
	h.key, keyErr = base64.RawStdEncoding.DecodeString(part[5])
	ok := saltErr == nil && keyErr == nil && len(h.key) == keySize && len(h.salt) >= 8 &&
		h.params.time >= 1 && h.params.time <= 64 && h.params.threads >= 1 && h.params.memory <= 1<<20
	return h, ok
}

// A decoy is what the passwords of unknown names are compared with. No password
// equals it: its key is random.
type decoy struct {
	hash hash
	seed []byte // for salts that stay the same for a name (RFC 5802 9)
}

func newDecoy() decoy {
	return decoy{
		hash: hash{current, randomBytes(saltSize), randomBytes(keySize)},
		seed: randomBytes(keySize),
	}
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails: see crypto/rand
	return b
}
