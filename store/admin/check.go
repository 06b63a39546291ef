package admin

import (
	"context"

	"postroom/store"
)

// A CheckRequest describes a mail that might come from another server. What a check
// doesn't need may be empty.
type CheckRequest struct {
	IP      string `json:"ip,omitempty"`   // of the client
	Helo    string `json:"helo,omitempty"` // what it calls itself
	From    string `json:"from,omitempty"` // of the envelope; empty or "<>" for the null sender
	Domain  string `json:"domain,omitempty"`
	Message []byte `json:"message,omitempty"` // header and all; bare LFs are taken for CRLF
}

// A CheckReport says what the checks think of a mail.
type CheckReport struct {
	Checks []store.CheckResult `json:"checks"`
	// Results is the field Authentication-Results that the message would get.
	Results string `json:"authentication_results,omitempty"`
	Spam    bool   `json:"spam,omitempty"` // it would be marked X-Spam: yes
	// Reply is what the client would hear, and Taken whether that means that the
	// message is taken.
	Reply string `json:"reply,omitempty"`
	Taken bool   `json:"taken"`
	// Explained says in words what led to each result: records found, mechanisms
	// that matched, keys.
	Explained []string `json:"explained,omitempty"`
}

// A Checker runs the checks of mail from other servers, the live ones, on what
// might come.
type Checker interface {
	CheckSPF(ctx context.Context, r CheckRequest) (CheckReport, error)     // IP, Helo, From
	CheckDKIM(ctx context.Context, r CheckRequest) (CheckReport, error)    // Message
	CheckDMARC(ctx context.Context, r CheckRequest) (CheckReport, error)   // Domain
	CheckMessage(ctx context.Context, r CheckRequest) (CheckReport, error) // all but Domain
}
