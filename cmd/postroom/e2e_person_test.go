package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"postroom/store"
	"postroom/store/admin"
)

// run runs a command that has to work, and returns what it prints.
func (s *site) run(args ...string) string {
	s.t.Helper()
	out, err := s.Command(s.t.Context(), "", args...)
	if err != nil {
		s.t.Fatalf("postroom %s: %v", strings.Join(args, " "), err)
	}
	return string(out)
}

// Mail for an account that is forwarded reaches both, inside and out.
func TestForwardedMailReachesAll(t *testing.T) {
	s := startSite(t)
	s.run("account", "forward", "bob@judge.test", "alice@judge.test", "x@far.test", "--keep")
	s.send("s@other.test", "bob@judge.test", []byte("Subject: to all\r\n\r\nforwarded\r\n"))
	for _, account := range []string{"alice@judge.test", "bob@judge.test"} {
		if got := s.await(account, 1)[0]; !bytes.Contains(got, []byte("forwarded")) {
			t.Errorf("%s has got %q", account, got)
		}
	}
	var trails []store.Trail
	s.list(&trails, "trace", "s@other.test")
	if !slices.ContainsFunc(trails[0].Events, func(e store.Event) bool {
		return e.Kind == store.Queued && e.Recipient == "x@far.test" && e.Via == "bob@judge.test"
	}) {
		t.Errorf("it isn't sent on: %+v", trails)
	}
	s.run("account", "forward", "bob@judge.test", "--off")
	s.send("s@other.test", "bob@judge.test", []byte("Subject: to one\r\n\r\nkept\r\n"))
	s.await("bob@judge.test", 2)
	s.list(&trails, "trace", "s@other.test") // alice, who reads for postmaster, may have got a report meanwhile
	places := 0
	for _, e := range trails[0].Events {
		if e.Kind == store.Delivered || e.Kind == store.Queued {
			places++
		}
	}
	if places != 1 {
		t.Errorf("after the forwarding has ended: %+v", trails[0].Events)
	}
}

// A vacation notice goes to a sender once, over kill -9 too, and to no list.
func TestVacationNoticeGoesOnce(t *testing.T) {
	s := startSite(t)
	s.run("account", "vacation", "bob@judge.test", "--subject", "Away", "--text", "Back on Monday.")
	letter := func(from, field string) {
		t.Helper()
		s.submit(from, "bob@judge.test", []byte("From: "+from+"\r\nTo: bob@judge.test\r\nSubject: Hello\r\nMessage-ID: <1@judge.test>\r\n"+field+"\r\nhi\r\n"))
	}
	letter("alice@judge.test", "List-Id: <x.judge.test>\r\n")
	letter("alice@judge.test", "")
	notice := string(s.await("alice@judge.test", 1)[0])
	for _, want := range []string{
		"Return-Path: <>\r\n", "From: <bob@judge.test>\r\n", "To: <alice@judge.test>\r\n", "Subject: Away\r\n", "Auto-Submitted: auto-replied\r\n",
		"In-Reply-To: <1@judge.test>\r\n", "\r\n\r\nBack on Monday.\r\n",
	} {
		if !strings.Contains(notice, want) {
			t.Errorf("the notice lacks %q:\n%s", want, notice)
		}
	}
	letter("alice@judge.test", "")
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	s.start()
	letter("alice@judge.test", "")
	letter("bob@judge.test", "") // to oneself
	if _, err := s.Command(t.Context(), password+"\n", "account", "add", "carol@judge.test", "--password-stdin"); err != nil {
		t.Fatal(err)
	}
	letter("carol@judge.test", "")
	s.await("carol@judge.test", 1) // the loop has seen all before it
	var alice admin.Account
	if s.list(&alice, "account", "show", "alice@judge.test"); alice.Messages != 1 {
		t.Errorf("alice has %d notices", alice.Messages)
	}
	var trails []store.Trail
	s.list(&trails, "trace", "carol@judge.test")
	answered, accepted := 0, 0
	for _, trail := range trails {
		for _, e := range trail.Events {
			switch {
			case e.Kind == store.Answered && e.Report != nil:
				answered++
			case e.Kind == store.Accepted && e.Report != nil && e.Reason == "vacation notice of bob@judge.test":
				accepted++
			}
		}
	}
	if answered != 1 || accepted != 1 {
		t.Errorf("the trace of carol's mail and of its answer tells of %d and %d: %+v", answered, accepted, trails)
	}
}

// What the admin lets an account send as is taken at MAIL and in From.
func TestFurtherSenders(t *testing.T) {
	s := startSite(t)
	letter := func() string {
		_, err := sendVia(t.Context(), s.Submission, "bob@judge.test", "shop@judge.test", "alice@judge.test", []byte("From: shop@judge.test\r\n\r\nhi\r\n"))
		if err != nil {
			return err.Error()
		}
		return ""
	}
	if got := letter(); !strings.Contains(got, "5.7.1") {
		t.Errorf("before: %q", got)
	}
	s.run("account", "sender", "add", "bob@judge.test", "shop@judge.test")
	if got := letter(); got != "" {
		t.Errorf("with the right: %q", got)
	}
	s.run("account", "sender", "remove", "bob@judge.test", "shop@judge.test")
	if got := letter(); !strings.Contains(got, "5.7.1") {
		t.Errorf("afterwards: %q", got)
	}
}
