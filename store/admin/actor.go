package admin

import "context"

// An Actor is who asks for an operation.
type Actor struct {
	Name   string `json:"name,omitempty"` // an account's address (web), a user of the system (command line); empty: the server, or nobody who has signed in
	Via    string `json:"via"`            // web, command line, server
	Client string `json:"client,omitempty"`
}

// What an Actor comes by.
const (
	ViaWeb     = "web"
	ViaCommand = "command line"
	ViaServer  = "server" // what the server does by itself
)

type actorKey struct{}

// WithActor returns a context for what somebody asks for.
func WithActor(ctx context.Context, actor Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, actor)
}

// ActorOf returns who asks: the server itself unless WithActor has said so.
func ActorOf(ctx context.Context) Actor {
	if actor, ok := ctx.Value(actorKey{}).(Actor); ok {
		return actor
	}
	return Actor{Via: ViaServer}
}

// byServer returns a context for what the server does by itself, whoever it was
// that made it look.
func byServer(ctx context.Context) context.Context {
	return WithActor(ctx, Actor{Via: ViaServer})
}
