package store

import "context"

type progressKey struct{}

// WithProgress returns a context for operations that may take long: those that say
// so tell how far they are, in order and never at once. tell must be quick, and
// total may be zero as long as it isn't known.
func WithProgress(ctx context.Context, tell func(done, total int64)) context.Context {
	return context.WithValue(ctx, progressKey{}, tell)
}

// TellProgress tells whoever wants to know, if anybody does, how far an operation
// is.
func TellProgress(ctx context.Context, done, total int64) {
	if tell, ok := ctx.Value(progressKey{}).(func(done, total int64)); ok {
		tell(done, total)
	}
}
