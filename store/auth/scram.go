package auth

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/xdg-go/scram"

	"postroom/store"
)

// scramIterations is more than RFC 7677's 4096, and still a blink for the phone
// that has to do it at every login.
const scramIterations = 32768

// A SCRAM is one exchange of SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel
// binding. It belongs to one session.
type SCRAM struct {
	auth     *Authenticator
	ctx      context.Context // of the session: the library's callback takes none
	client   netip.Addr
	protocol string
	conv     *scram.ServerConversation
	account  store.Account
	step     int
	trouble  error
}

// StartSCRAM begins an exchange. ctx lasts as long as the exchange.
func (a *Authenticator) StartSCRAM(ctx context.Context, client netip.Addr, protocol string) *SCRAM {
	x := &SCRAM{auth: a, ctx: ctx, client: client, protocol: protocol}
	server, err := scram.SHA256.NewServer(x.credentials)
	if err != nil {
		x.trouble = fmt.Errorf("start SCRAM: %w", err)
		return x
	}
	x.conv = server.NewConversation()
	return x
}

// Next takes the client's next message and returns the server's. done says that
// the client has proved itself, and Account may be asked. A nil response, where
// the client sent none with the command, gets an empty challenge. It fails with
// ErrDenied or ErrBlocked, or with an error of our own.
func (x *SCRAM) Next(response []byte) (challenge []byte, done bool, err error) {
	if x.trouble != nil {
		return nil, false, x.trouble
	}
	if response == nil && x.step == 0 {
		return []byte{}, false, nil
	}
	x.step++
	switch x.step {
	case 1, 2:
		return x.converse(string(response))
	case 3:
		err := x.finish()
		return nil, err == nil, err
	}
	return nil, false, ErrDenied
}

// Account returns the account that has logged in, once Next is done.
func (x *SCRAM) Account() store.Account { return x.account }

// Name returns the name that the client gave, empty as long as it hasn't.
func (x *SCRAM) Name() string {
	if x.conv == nil {
		return ""
	}
	return x.conv.Username()
}

func (x *SCRAM) converse(response string) ([]byte, bool, error) {
	if x.step == 2 { // others of the same address may have failed meanwhile
		if err := x.auth.guard.admit(x.try()); err != nil {
			return nil, false, err
		}
	}
	reply, err := x.conv.Step(response)
	switch {
	case x.trouble != nil:
		return nil, false, x.trouble
	case err != nil:
		return nil, false, x.deny()
	}
	return []byte(reply), false, nil
}

// finish looks once more whether the account may log in.
func (x *SCRAM) finish() error {
	if !x.conv.Valid() || x.account.ID == 0 {
		return x.deny()
	}
	if id := x.conv.AuthzID(); id != "" && !strings.EqualFold(id, x.conv.Username()) {
		return x.deny()
	}
	now, err := x.auth.find(x.ctx, x.conv.Username())
	switch {
	case err != nil:
		return err
	case now.ID != x.account.ID || now.Secret != x.account.Secret:
		return x.deny()
	}
	x.auth.succeed(x.try(), "")
	return nil
}

// try is the attempt as the Guard sees it. What password the client has can't be
// told from what it says, so each failure counts for a guess of its own.
func (x *SCRAM) try() try {
	return try{x.client, x.account.ID, x.Name(), rand.Text(), x.protocol}
}

// deny ends the exchange. Who hasn't shown a proof yet has guessed nothing.
func (x *SCRAM) deny() error {
	guessed, t, account := x.step > 1, x.try(), x.account
	x.step, x.account = exchangeOver, store.Account{}
	if !guessed {
		return ErrDenied
	}
	return x.auth.deny(x.ctx, t, account)
}

// exchangeOver is the last step: any other is denied.
const exchangeOver = 3

// credentials returns the keys for a name. An unknown name gets keys that nothing
// proves, and a salt that is always the same for it.
func (x *SCRAM) credentials(name string) (scram.StoredCredentials, error) {
	account, err := x.auth.find(x.ctx, name)
	if err != nil {
		x.trouble = err
		return scram.StoredCredentials{}, err
	}
	x.account = account
	if err := x.auth.guard.admit(try{client: x.client, account: account.ID, protocol: x.protocol}); err != nil {
		x.trouble = err
		return scram.StoredCredentials{}, err
	}
	if keys, err := parseSCRAMKeys(account.Secret.SCRAM); account.ID != 0 && err == nil {
		return keys, nil
	}
	return x.auth.decoy.credentials(name), nil
}

func (d decoy) credentials(name string) scram.StoredCredentials {
	mac := hmac.New(sha256.New, d.seed)
	mac.Write([]byte(strings.ToLower(name)))
	return scram.StoredCredentials{
		KeyFactors: scram.KeyFactors{Salt: string(mac.Sum(nil)[:saltSize]), Iters: scramIterations},
		StoredKey:  randomBytes(sha256.Size),
		ServerKey:  randomBytes(sha256.Size),
	}
}

// newSCRAMKeys returns the keys of a password in the form
// SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey, binary parts in base64.
func newSCRAMKeys(password string) (string, error) {
	client, err := scram.SHA256.NewClient("", password, "")
	if err != nil {
		// SASLprep forbids it: the client can't use it over SCRAM either.
		return "", PasswordError("The password contains characters that SCRAM-SHA-256 does not allow.")
	}
	salt := randomBytes(saltSize)
	keys, err := client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: string(salt), Iters: scramIterations})
	if err != nil {
		return "", fmt.Errorf("derive SCRAM keys: %w", err)
	}
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", keys.Iters, b64(salt), b64(keys.StoredKey), b64(keys.ServerKey)), nil
}

var errSCRAMKeys = errors.New("not keys for SCRAM-SHA-256")

// parseSCRAMKeys is the inverse of newSCRAMKeys.
func parseSCRAMKeys(s string) (scram.StoredCredentials, error) {
	part := strings.FieldsFunc(s, func(r rune) bool { return r == '$' || r == ':' })
	if len(part) != 5 || part[0] != "SCRAM-SHA-256" {
		return scram.StoredCredentials{}, errSCRAMKeys
	}
	iterations, err := strconv.Atoi(part[1])
	if err != nil {
		return scram.StoredCredentials{}, errSCRAMKeys
	}
	var decoded [3][]byte
	for i := range decoded {
		if decoded[i], err = base64.StdEncoding.DecodeString(part[2+i]); err != nil {
			return scram.StoredCredentials{}, errSCRAMKeys
		}
	}
	return scram.StoredCredentials{
		KeyFactors: scram.KeyFactors{Salt: string(decoded[0]), Iters: iterations},
		StoredKey:  decoded[1],
		ServerKey:  decoded[2],
	}, nil
}
