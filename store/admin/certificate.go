package admin

import (
	"context"
	"time"
)

// Where a Certificate comes from.
const (
	CertificateFile       = "file"
	CertificateACME       = "acme"
	CertificateSelfSigned = "self-signed"
)

// A Certificate is one that the services show, or that they ought to: how it
// stands, and what is in the way of a better one.
type Certificate struct {
	Names  []string `json:"names"`
	Issuer string   `json:"issuer"`
	Source string   `json:"source"` // one of the constants above
	File   string   `json:"file,omitempty"`

	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	DaysLeft  int       `json:"days_left"` // whole days, negative once it has ended

	// Error says in words what went wrong with its renewal, or with getting the
	// one that is to take its place, at Failed; it is tried again at NextTry.
	// Empty: nothing did.
	Error   string    `json:"error,omitempty"`
	Failed  time.Time `json:"failed,omitzero"`
	NextTry time.Time `json:"next_try,omitzero"`
}

// Certificates returns the certificates of this server, that of its own name
// first.
func (a *Admin) Certificates(ctx context.Context) ([]Certificate, error) {
	if a.Shown == nil {
		return nil, nil
	}
	return a.Shown(ctx)
}
