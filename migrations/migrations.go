// Package migrations holds the database schema as numbered steps. A step that
// has been released is never edited; a change is a new step. There is no way
// back: an older program refuses a newer database.
package migrations

import "embed"

// Files are the steps, in goose's format, applied in order of their numbers.
//
//go:embed *.sql
var Files embed.FS
