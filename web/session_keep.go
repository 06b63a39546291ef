package web

import (
	"context"
	"errors"
	"time"

	"postroom/store"
)

// A keeper keeps scs's sessions with what is known of them besides their data. It
// finds that in the context: see commit.
type keeper struct{ sessions Sessions }

// A keeping is what a session is kept with.
type keeping struct {
	store.WebSession
	fresh bool // it isn't there yet
}

type keepingKey struct{}

// maxAgent bounds what is kept of what a browser calls itself.
const maxAgent = 200

// commit keeps the session. It fails with store.ErrNotFound if it was ended from
// elsewhere since the request began.
func (v *visit) commit() (token string, expiry time.Time, err error) {
	ctx := v.r.Context()
	now := v.Now()
	if v.sessions.GetInt64(ctx, keyID) == 0 {
		v.sessions.Put(ctx, keyID, newSessionID())
		v.sessions.Put(ctx, keyBegan, now.Unix())
	}
	agent := v.r.UserAgent()
	k := keeping{fresh: v.fresh, WebSession: store.WebSession{
		ID:      v.sessions.GetInt64(ctx, keyID),
		Account: store.AccountID(v.sessions.GetInt64(ctx, keyAccount)),
		Began:   time.Unix(v.sessions.GetInt64(ctx, keyBegan), 0),
		Seen:    now,
		Expires: now.Add(sessionIdle),
		Client:  v.client().String(),
		Agent:   agent[:min(len(agent), maxAgent)],
	}}
	if v.sessions.GetInt64(ctx, keyHalf) != 0 {
		k.Expires = now.Add(halfLasts)
	}
	if k.Account != 0 {
		k.Seen = time.Unix(v.sessions.GetInt64(ctx, keySeen), 0)
		k.Expires = k.Seen.Add(sessionIdle)
	}
	return v.sessions.Commit(context.WithValue(ctx, keepingKey{}, k))
}

// FindCtx, CommitCtx and DeleteCtx make a keeper an scs.CtxStore.
func (k keeper) FindCtx(ctx context.Context, token string) ([]byte, bool, error) {
	return k.sessions.Find(ctx, token)
}

// CommitCtx keeps a session with the keeping of the context.
func (k keeper) CommitCtx(ctx context.Context, token string, data []byte, expiry time.Time) error {
	session, ok := ctx.Value(keepingKey{}).(keeping)
	if !ok {
		return errNoContext
	}
	session.Data = data
	if session.Expires.After(expiry) {
		session.Expires = expiry
	}
	if session.fresh {
		return k.sessions.Add(ctx, token, session.WebSession)
	}
	return k.sessions.Change(ctx, token, session.WebSession)
}

// DeleteCtx removes a session, if it is there.
func (k keeper) DeleteCtx(ctx context.Context, token string) error {
	return k.sessions.Delete(ctx, token)
}

var errNoContext = errors.New("a session without its context")

// Find, Commit and Delete are what an scs.Store has; an scs.CtxStore isn't asked for
// them.
func (k keeper) Find(string) ([]byte, bool, error)      { return nil, false, errNoContext }
func (k keeper) Commit(string, []byte, time.Time) error { return errNoContext }
func (k keeper) Delete(string) error                    { return errNoContext }
