package smtpd

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"io"
	"net/smtp"
	"os/exec"
	"strings"
	"testing"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"
	"github.com/xdg-go/scram"

	"postroom/store"
	"postroom/store/auth"
	"postroom/store/sqlite"
)

func TestSCRAM(t *testing.T) {
	h := serve(t, submission, func(s *Server) { s.RequireTLS, s.SCRAM = false, true })
	for _, tt := range []struct{ name, password, reply string }{
		{"alice@example.test", password, "235 2.7.0"},
		{"alice@example.test", "wrong", "535 5.7.8"},
		{"nobody@example.test", password, "535 5.7.8"},
	} {
		c := h.open(t)
		client, err := scram.SHA256.NewClient(tt.name, tt.password, "")
		if err != nil {
			t.Fatal(err)
		}
		conversation := client.NewConversation()
		first, err := conversation.Step("")
		if err != nil {
			t.Fatal(err)
		}
		reply := c.do("AUTH SCRAM-SHA-256 "+base64.StdEncoding.EncodeToString([]byte(first)), "")
		for strings.HasPrefix(reply, "334 ") {
			challenge, err := base64.StdEncoding.DecodeString(reply[4:])
			if err != nil {
				t.Fatal(err)
			}
			response, _ := conversation.Step(string(challenge))
			reply = c.do(base64.StdEncoding.EncodeToString([]byte(response)), "")
		}
		if !strings.HasPrefix(reply, tt.reply) {
			t.Errorf("%s with %q: got %q, want %q", tt.name, tt.password, reply, tt.reply)
		}
		if strings.HasPrefix(reply, "235") {
			c.do("MAIL FROM:<alice@example.test>", "250")
			h.auth.Forget(alice)
			c.expect("421 4.7.0")
		}
	}
}

// TestGoSMTPClient sends with the client side of the library.
func TestGoSMTPClient(t *testing.T) {
	h := serve(t, submission)
	c, err := gosmtp.DialStartTLS(h.addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Auth(sasl.NewPlainClient("", "alice", password)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		text := "From: alice@example.test\r\nDate: now\r\nMessage-ID: <a@b>\r\n\r\n.text\r\n"
		if err := c.SendMail("alice@example.test", []string{"bob@example.test", "x@far.test"}, strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
		if k := h.mail.last(t); !strings.HasSuffix(k.text, text) || len(k.Local) != 1 || len(k.Outbound) != 1 {
			t.Errorf("kept %+v", k)
		}
	}
	if err := c.Quit(); err != nil {
		t.Error(err)
	}
}

func TestSwaks(t *testing.T) {
	swaks, err := exec.LookPath("swaks")
	if err != nil {
		t.Skip("needs swaks (Debian package swaks)")
	}
	h := serve(t, submission)
	for _, mechanism := range []string{"PLAIN", "LOGIN"} {
		out, err := exec.CommandContext(t.Context(), swaks, "--server", h.addr, "--tls",
			"--auth", mechanism, "--auth-user", "alice", "--auth-password", password, "--pipeline",
			"--from", "alice@example.test", "--to", "bob@example.test,x@far.test").CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if k := h.mail.last(t); k.Accepted.Protocol != "ESMTPSA" || k.Account != alice {
			t.Errorf("kept %+v", k)
		}
	}
}

// TestWithTheRealStore sends a message to a domain of ours, and reads it back.
func TestWithTheRealStore(t *testing.T) {
	ctx := context.Background()
	db, err := sqlite.Open(ctx, sqlite.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.AddDomain(ctx, store.Domain{Name: "example.test"}); err != nil {
		t.Fatal(err)
	}
	a := auth.New(db, auth.Options{})
	secret, err := a.NewSecret(ctx, password)
	if err != nil {
		t.Fatal(err)
	}
	account, err := db.AddAccount(ctx, store.Account{Address: address("alice@example.test"), Secret: secret})
	if err != nil {
		t.Fatal(err)
	}
	h := serve(t, func(s *Server) { s.Mail, s.TLS = db, nil })

	text := "From: x@far.test\r\nSubject: real\r\n\r\n" + strings.Repeat(strings.Repeat("x", 500)+"\r\n", 2000)
	if err := smtp.SendMail(h.addr, nil, "x@far.test", []string{"Alice+tag@example.test"}, []byte(text)); err != nil {
		t.Fatal(err)
	}
	c := h.open(t)
	c.within("Alice+tag@example.test", "alice@example.test", "postmaster")
	c.send(stuffed(text))
	id, err := store.ParseMessageID(strings.TrimPrefix(c.expect("250 2.0.0"), "250 2.0.0 accepted as "))
	if err != nil {
		t.Fatal(err)
	}
	c.do("MAIL FROM:<x@far.test>", "250")
	c.do("RCPT TO:<nobody@example.test>", "550 5.1.1")
	c.do("RCPT TO:<x@far.test>", "550 5.7.1")

	entries, err := db.Entries(ctx, account.ID)
	if err != nil || len(entries) != 2 || entries[1].Message != id {
		t.Fatalf("entries: %+v, %v", entries, err)
	}
	body, err := db.OpenEntry(ctx, account.ID, id)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	b, err := io.ReadAll(body)
	if err != nil || !strings.HasSuffix(string(b), "+0000\r\n"+text) || int64(len(b)) != entries[1].Size {
		t.Errorf("%v: %d octets, %.300q", err, len(b), b)
	}
}
