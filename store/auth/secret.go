package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"

	"postroom/store"
)

// Bounds on a password, the lower one in characters, the upper one in octets.
const (
	minPassword = 8
	maxPassword = 1024
)

// A PasswordError says in a sentence why a password can't be taken. It never
// holds the password.
type PasswordError string

// Error returns the sentence.
func (e PasswordError) Error() string { return string(e) }

// checkPassword returns a PasswordError for what the protocols can't carry.
func checkPassword(password string) error {
	switch {
	case !utf8.ValidString(password):
		return PasswordError("The password must be UTF-8 text.")
	case password == "":
		return PasswordError("The password is empty.")
	case len(password) > maxPassword:
		return PasswordError(fmt.Sprintf("The password is too long: it may have at most %d octets.", maxPassword))
	case strings.ContainsAny(password, "\r\n\x00"):
		return PasswordError("The password must not contain line ends or NUL characters.")
	}
	return nil
}

// CheckLength returns a PasswordError for a password that is soon guessed. It is
// for those who choose one for daily use, and no bound on what NewSecret takes.
func CheckLength(password string) error {
	if utf8.RuneCountInString(password) < minPassword {
		return PasswordError(fmt.Sprintf("The password is too short: it needs at least %d characters.", minPassword))
	}
	return nil
}

// NewSecret returns what is to be kept of a password, and the keys for SCRAM if
// they are wanted. It fails with a PasswordError if the password can't be taken,
// and with ErrBusy as Login does.
func (a *Authenticator) NewSecret(ctx context.Context, password string) (store.Secret, error) {
	if err := checkPassword(password); err != nil {
		return store.Secret{}, err
	}
	if err := a.slots.acquire(ctx, netip.Prefix{}); err != nil {
		return store.Secret{}, err
	}
	defer a.slots.release()
	salt := randomBytes(saltSize)
	secret := store.Secret{Hash: hash{current, salt, a.derive(password, salt, current)}.String()}
	if !a.scram {
		return secret, nil
	}
	var err error
	secret.SCRAM, err = newSCRAMKeys(password)
	return secret, err
}

// GeneratePassword returns a password of 90 random bits: lower-case letters and
// digits that are easily told apart, in three groups with dashes between.
func GeneratePassword() string { return group(randomText()[:18], 6) }

// NewAppPassword returns a new app password, of 128 random bits or more, as it is
// shown to its user, and the hash that is kept of it.
func NewAppPassword() (shown string, hash [32]byte) {
	text := randomText()
	return group(text, 5), sha256.Sum256([]byte(text))
}

// appPasswordLength is that of crypto/rand.Text: 26 letters of base32.
const appPasswordLength = 26

func randomText() string { return strings.ToLower(rand.Text()) }

// group puts a dash after every n letters.
func group(text string, n int) string {
	var parts []string
	for part := range slices.Chunk([]byte(text), n) {
		parts = append(parts, string(part))
	}
	return strings.Join(parts, "-")
}

// hashAppPassword returns the hash of what a user typed, whatever its case,
// blanks and dashes. It reports false for what has not the form of an app
// password.
func hashAppPassword(typed string) ([32]byte, bool) {
	if len(typed) > 2*appPasswordLength {
		return [32]byte{}, false
	}
	text := strings.ToLower(strings.NewReplacer(" ", "", "-", "").Replace(typed))
	if len(text) != appPasswordLength || strings.Trim(text, "abcdefghijklmnopqrstuvwxyz234567") != "" {
		return [32]byte{}, false
	}
	return sha256.Sum256([]byte(text)), true
}
