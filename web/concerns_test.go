package web

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/admin"
)

func TestConcernsOnTheOverview(t *testing.T) {
	s := newSite(t)
	b := s.signedIn()
	a := b.get("/")
	a.has(t, http.StatusOK, "All is well.")
	if strings.Contains(a.body, ">Certificate</h2>") {
		t.Error("a certificate is shown where there is none")
	}
	s.must(s.store.Raise(t.Context(), store.Concern{Key: "dns", Text: "The DNS of example.org is wrong.", Cure: "/domains/example.org/dns"}))
	s.wait(3 * time.Hour)
	s.must(s.store.Raise(t.Context(), store.Concern{Key: "list", Text: "zen.example refuses us.", Cure: "javascript:alert(1)"}))
	a = b.get("/")
	a.has(t, http.StatusOK, "2 things need you.", `The DNS of example.org is wrong. <span class="faint">Since`, "3 h ago", `<a href="/domains/example.org/dns">See what to do</a>`, "zen.example refuses us.")
	if strings.Contains(a.body, "javascript:") {
		t.Error("a cure leads anywhere")
	}
	for i := range 40 {
		s.must(s.store.Raise(t.Context(), store.Concern{Key: fmt.Sprint(i), Text: fmt.Sprintf("Trouble %d.", i)}))
	}
	b.get("/").has(t, http.StatusOK, "42 things need you.", "And 22 more")
}

func TestCertificate(t *testing.T) {
	s := newSite(t)
	b := s.signedIn()
	b.get("/certificate").has(t, http.StatusOK, "No service of this server uses a certificate.")
	s.admin.Shown = func(context.Context) ([]admin.Certificate, error) { return s.certificates(), nil }
	b.get("/certificate").has(t, http.StatusOK, "5 days left", "badge bad", "mta-sts.example.org", "Let’s Encrypt R11", "couldn’t be renewed", "connection refused", "3 h ago", "tried again",
		"in 1 h", "It is renewed by itself (ACME).", "/etc/postroom/books.pem", "265 days left", "It is self-signed")
	b.get("/").has(t, http.StatusOK, "5 days left", "mail.example.org, mta-sts.example.org", "Let’s Encrypt R11", "Renewed by itself.", "The last try failed:", "Self-signed: mail programs warn of it.")
	s.admin.Shown = func(context.Context) ([]admin.Certificate, error) {
		return []admin.Certificate{{Names: []string{"a.example"}, DaysLeft: -2, Source: admin.CertificateFile}}, nil
	}
	b.get("/certificate").has(t, http.StatusOK, "it has ended", "badge bad")
}
