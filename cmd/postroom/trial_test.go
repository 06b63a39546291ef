package main

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"postroom/store"
	"postroom/store/admin"
	"postroom/store/auth"
	"postroom/store/mail"
)

// newTrial runs a test mail's service over what listens at addr for everything.
func newTrial(t *testing.T, addr ...string) *trials {
	t.Helper()
	tr := &trials{
		auth:      auth.New(nil, auth.Options{}),
		hostname:  func() string { return "mail.example.org" },
		listening: func(string) []string { return addr },
		heralded:  func(netip.Addr) bool { return false },
		now:       time.Now,
		wanted:    make(chan store.Account, 1),
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- tr.run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return tr
}

var trialAccount = store.Account{ID: 1, Address: mail.Address{Local: "alice", Domain: "example.org"}}

// ended waits until the test mail has ended.
func ended(t *testing.T, tr *trials) admin.Trial {
	t.Helper()
	var last admin.Trial
	poll(t, "the test mail ends", func() bool {
		last, _ = tr.Last()
		return !last.Running()
	})
	return last
}

// answering is a server that sends each client some text, and nothing more.
func answering(t *testing.T, text string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { conn.Close() })
			_, _ = conn.Write([]byte(text)) // the client may have gone
		}
	}()
	return l.Addr().String()
}

func TestTrialSaysWhatIsInTheWay(t *testing.T) {
	for _, test := range []struct {
		it, greeting string
		addrs        int
		problem      string
		stages       int
	}{
		{"misses the service", "", 0, "listen.submissions and listen.submission are empty", 1},
		{"meets what speaks no TLS", "220 hello\r\n", 1, "tls: first record does not look like a TLS handshake", 2},
	} {
		t.Run(test.it, func(t *testing.T) {
			var addrs []string
			if test.addrs > 0 {
				addrs = []string{answering(t, test.greeting)}
			}
			tr := newTrial(t, addrs...)
			if !tr.Start(trialAccount) {
				t.Fatal("it doesn't start")
			}
			last := ended(t, tr)
			if last.OK() || len(last.Stages) != test.stages {
				t.Fatalf("it ended as %+v", last)
			}
			if s := last.Stages[test.stages-1]; s.State != admin.TrialFailed || !strings.Contains(s.Problem, test.problem) {
				t.Errorf("the stage is %+v", s)
			}
		})
	}
}

func TestTrialStops(t *testing.T) {
	tr := newTrial(t, answering(t, ""))
	if !tr.Start(trialAccount) {
		t.Fatal("it doesn't start")
	}
	poll(t, "it waits for the server", func() bool {
		last, _ := tr.Last()
		return len(last.Stages) == 2
	})
	if tr.Start(trialAccount) {
		t.Error("a second one starts beside it")
	}
	begun := time.Now()
	tr.Stop()
	last := ended(t, tr)
	if took := time.Since(begun); took > trialPatience/2 {
		t.Errorf("it took %v", took)
	}
	if s := last.Stages[1]; !last.Stopped || s.State != admin.TrialFailed || s.Problem != "It was stopped." {
		t.Errorf("it ended as %+v", last)
	}
	if !tr.Start(trialAccount) {
		t.Error("no other one starts afterwards")
	}
	tr.Stop() // perhaps before it has begun
	if last := ended(t, tr); !last.Stopped {
		t.Errorf("it ended as %+v", last)
	}
}
