package smtpd

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postroom/smtpd/policy"
	"postroom/smtpd/srs"
	"postroom/store"
	"postroom/store/mail"
	"postroom/store/sqlite"
)

const anyText = "From: x@far.test\r\n\r\ntext\r\n.\r\n"

// send sends a message and returns what was accepted. to are the arguments of RCPT.
func (h *harness) send(t *testing.T, c *client, from string, to ...string) kept {
	t.Helper()
	c.do("MAIL FROM:"+from, "250")
	for _, r := range to {
		c.do("RCPT TO:"+r, "250")
	}
	c.do("DATA", "354")
	c.send(anyText)
	c.expect("250")
	return h.mail.last(t)
}

// rewritten is what the server makes of a sender in the name of example.test.
func (h *harness) rewritten(t *testing.T, sender string) mail.Address {
	t.Helper()
	a, ok := h.key("the secret of srs").Forward(address(sender), "example.test")
	if !ok {
		t.Fatalf("%q can't be rewritten", sender)
	}
	return a
}

func (h *harness) key(secret string) *srs.Rewriter {
	return &srs.Rewriter{Secrets: [][]byte{[]byte(secret)}, Now: h.Now}
}

func TestSenderOfForward(t *testing.T) {
	long := strings.Repeat("l", 60) + "@" + strings.Repeat(strings.Repeat("d", 40)+".", 4) + "test"
	tests := []struct{ name, sender, to, want string }{
		{"is rewritten", "s@other.test", "away@example.test", "SRS0=XT6RPM56=JK=other.test=s@example.test"},
		{"is rewritten for several targets", "s@other.test", "all@example.test", "SRS0=XT6RPM56=JK=other.test=s@example.test"},
		{"is rewritten with the first forwarder's name", "SRS0=a=b=other.test=s@one.test", "away@example.test", ""},
		{"stays null", "", "away@example.test", "-"},
		{"stays if it is ours", "alice@example.test", "away@example.test", "-"},
		{"stays if it is nobody's, in a domain of ours", "nobody@example.test", "away@example.test", "-"},
		{"stays if its account takes no mail", "refused@example.test", "away@example.test", "-"},
		{"stays if we hold its mail", "s@backup.test", "away@example.test", "-"},
		{"stays if it is too long", long, "away@example.test", "-"},
		{"stays for a backup domain", "s@other.test", "x@backup.test", "-"},
	}
	h := serve(t)
	c := h.open(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := h.send(t, c, "<"+tt.sender+">", "<"+tt.to+">")
			want := tt.want
			switch want {
			case "":
				want = h.rewritten(t, tt.sender).String()
			case "-":
				want = tt.sender
			}
			for _, o := range k.Outbound {
				if o.Sender.String() != want {
					t.Errorf("it leaves as <%s>, want <%s>", o.Sender, want)
				}
			}
			if len(k.Outbound) == 0 || k.Envelope.Sender.String() != tt.sender {
				t.Errorf("%d are sent to, the envelope's sender is %q", len(k.Outbound), k.Envelope.Sender)
			}
		})
	}
	if n := h.mail.keys.Load(); n != 1 {
		t.Errorf("the secret was read %d times", n)
	}
}

func TestForwardWithoutSecret(t *testing.T) {
	h := serve(t)
	h.mail.noKey.Store(true)
	c := h.open(t)
	c.do("MAIL FROM:<s@other.test>", "250")
	c.do("RCPT TO:<SRS0=XT6RPM56=JK=other.test=s@example.test>", "451 4.3.0 Local error")
	c.do("RCPT TO:<away@example.test>", "250")
	c.do("DATA", "354")
	c.send(anyText)
	c.expect("451 4.3.0 Local error")
	h.mail.noKey.Store(false)
	h.send(t, c, "<s@other.test>", "<away@example.test>")
}

func TestBounceOfForward(t *testing.T) {
	h := serve(t)
	c := h.open(t)
	detour, _ := h.key("the secret of srs").Forward(address("SRS1=x=example.test="+h.rewritten(t, "s@other.test").Local[4:]+"@two.test"), "example.test")
	home, _ := h.key("the secret of srs").Forward(address("alice@example.test"), "example.test")
	tests := []struct {
		name, to string
		want     mail.Address
	}{
		{"goes to the sender", "SRS0=XT6RPM56=JK=other.test=s@example.test", address("s@other.test")},
		{"goes to the sender in small letters", "srs0=xt6rpm56=jk=other.test=s@example.test", address("s@other.test")},
		{"goes to the first forwarder", h.rewritten(t, "SRS0=a=b=other.test=s@one.test").String(), address("SRS0=a=b=other.test=s@one.test")},
		{"goes to the sender through ourselves", detour.String(), address("s@other.test")},
		{"goes to who became one of us", home.String(), mail.Address{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			k := h.send(t, c, "<>", "<"+tt.to+">")
			if tt.want.IsNull() {
				if len(k.Outbound) != 0 || len(k.Local) != 1 || k.Local[0].Account != alice {
					t.Errorf("sent %+v, delivered %+v", k.Outbound, k.Local)
				}
				return
			}
			want := []store.Outbound{{
				Recipient: mail.Recipient{Address: tt.want, Original: "rfc822;" + tt.to},
				Via:       address(tt.to),
			}}
			if diff := cmp.Diff(want, k.Outbound); diff != "" || len(k.Local) != 0 {
				t.Error(diff)
			}
		})
	}
	k := h.send(t, c, "<robot@far.test>", "<SRS0=XT6RPM56=JK=other.test=s@example.test>")
	if o := k.Outbound[0]; o.Sender != h.rewritten(t, "robot@far.test") || o.Recipient.Address != address("s@other.test") {
		t.Errorf("an answer that isn't a bounce goes as %+v", o)
	}
}

func TestForgedBounce(t *testing.T) {
	h := serve(t)
	c := h.open(t)
	c.do("MAIL FROM:<>", "250")
	forged, _ := h.key("a guess").Forward(address("s@other.test"), "example.test")
	caught, _ := h.key("a guess").Forward(address("s@other.test"), "catchall.test")
	early := &srs.Rewriter{Secrets: [][]byte{[]byte("the secret of srs")}, Now: func() time.Time { return h.Now().AddDate(0, 0, -22) }}
	expired, _ := early.Forward(address("s@other.test"), "example.test")
	for _, to := range []string{
		forged.String(), caught.String(), expired.String(), "SRS0=x@example.test", "SRS1=x=y@example.test", "SRS0=XT6RPM56=JK=victim.test=s@example.test",
		"SRS0=XT6RPM56=JK=other.test=s@catchall.test",
	} {
		c.do("RCPT TO:<"+to+">", "550 5.1.1 No such address here")
	}
	c.do("RCPT TO:<SRS0=XT6RPM56=JK=other.test=s@elsewhere.test>", "550 5.7.1 Relaying denied")
	c.do("RCPT TO:<SRS0=of=their=own@backup.test>", "250")
	c.do("RCPT TO:<srs@catchall.test>", "250")
}

func TestNobodySubmitsAsForward(t *testing.T) {
	h := serve(t, submission, func(s *Server) { s.RequireTLS = false })
	c := h.open(t)
	c.do("AUTH PLAIN "+plainResponse("alice", password), "235")
	c.do("MAIL FROM:<SRS0=XT6RPM56=JK=other.test=s@example.test>", "550 5.7.1 You may not send as")
	home, _ := h.key("the secret of srs").Forward(address("alice@example.test"), "example.test")
	c.do("MAIL FROM:<"+home.String()+">", "550 5.7.1 You may not send as")
	k := h.submit(t, c, "<away@example.test>", "<x@backup.test>")
	for _, o := range k.Outbound {
		if o.Sender != address("alice@example.test") {
			t.Errorf("a submission leaves as %q", o.Sender)
		}
	}
}

func (h *harness) submit(t *testing.T, c *client, to ...string) kept {
	t.Helper()
	c.do("MAIL FROM:<alice@example.test>", "250")
	for _, r := range to {
		c.do("RCPT TO:"+r, "250")
	}
	c.do("DATA", "354")
	c.send("From: alice@example.test\r\n\r\ntext\r\n.\r\n")
	c.expect("250")
	return h.mail.last(t)
}

func TestForwardsAreProven(t *testing.T) {
	var forwards bool
	h := serve(t, func(s *Server) {
		s.Rules.Message = policy.Chain[*policy.Message]{{Name: "spf", Judge: func(_ context.Context, _ policy.Client, m *policy.Message) (policy.Verdict, error) {
			forwards = m.Forwards
			_, err := io.Copy(io.Discard, m.Open())
			return policy.Verdict{Authentic: m.Envelope.Sender.Local == "honest"}, err
		}}}
	})
	c := h.open(t)
	for _, tt := range []struct {
		to       string
		forwards bool
	}{{"away@example.test", true}, {"team@example.test", true}, {"alice@example.test", false}, {"x@backup.test", false}} {
		if k := h.send(t, c, "<honest@other.test>", "<"+tt.to+">"); !k.Authentic || forwards != tt.forwards {
			t.Errorf("%s: authentic is %v, forwards %v", tt.to, k.Authentic, forwards)
		}
	}
	if h.send(t, c, "<x@other.test>", "<away@example.test>").Authentic {
		t.Error("nobody has proven it")
	}
}

// TestForwardWithStore sends a forward and its bounce through the real store, also
// of a sender that leaves with more than 64 octets before the @.
func TestForwardWithStore(t *testing.T) {
	ctx := t.Context()
	db, err := sqlite.Open(ctx, sqlite.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.AddDomain(ctx, store.Domain{Name: "example.test"}); err != nil {
		t.Fatal(err)
	}
	alias := store.Alias{Source: address("away@example.test"), Targets: []mail.Address{address("x@far.test")}}
	if err := db.AddAlias(ctx, alias); err != nil {
		t.Fatal(err)
	}
	h := serve(t, func(s *Server) { s.Mail = db })
	c := h.open(t)
	for _, sender := range []string{"bob@other.test", strings.Repeat("b", 60) + "@other.test"} {
		forward := queued(t, db, c, "<"+sender+">", "<away@example.test>")
		if forward.Recipient.Address != address("x@far.test") || forward.Via != address("away@example.test") {
			t.Errorf("the forward is %+v", forward)
		}
		c.do("MAIL FROM:<>", "250")
		forged := strings.Replace(forward.Sender.String(), "=b", "=c", 1)
		c.do("RCPT TO:<"+forged+">", "550 5.1.1")
		c.do("RSET", "250")
		bounce := queued(t, db, c, "<>", "<"+forward.Sender.String()+">")
		if bounce.Recipient.Address != address(sender) || bounce.Via != forward.Sender || !bounce.Sender.IsNull() {
			t.Errorf("the bounce is %+v", bounce)
		}
	}
	h.stop()
	<-h.done
}

// queued sends a message and returns what is in the queue of it.
func queued(t *testing.T, db *sqlite.Store, c *client, from, to string) store.QueueItem {
	t.Helper()
	c.do("MAIL FROM:"+from, "250")
	c.do("RCPT TO:"+to, "250")
	c.do("DATA", "354")
	c.send(anyText)
	id, err := store.ParseMessageID(strings.TrimPrefix(c.expect("250"), "250 2.0.0 accepted as "))
	if err != nil {
		t.Fatal(err)
	}
	list, err := db.Queue(t.Context(), store.QueueFilter{Message: id})
	if err != nil || len(list) != 1 {
		t.Fatalf("the queue holds %+v, %v", list, err)
	}
	return list[0]
}
