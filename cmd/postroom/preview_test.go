package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"postroom/cmd/postroom/bench"
	"postroom/store"
	"postroom/store/admin"
	"postroom/store/mail"
)

// previewSite is a server with somebody of every kind in it. No mail server but it
// is there, so that what is to leave waits.
func previewSite(t *testing.T) *site {
	t.Helper()
	names, err := bench.StartDNS(
		"far.test. 60 IN MX 20 mx2.far.test.", "far.test. 60 IN MX 10 mx1.far.test.", `far.test. 60 IN TXT "v=spf1 ip4:127.0.0.8 -all"`,
		"mx1.far.test. 60 IN A 127.0.0.31", "mx2.far.test. 60 IN A 127.0.0.32", "mx2.far.test. 60 IN A 127.0.0.33",
		"plain.test. 60 IN A 127.0.0.34", "null.test. 60 IN MX 0 .", "self.test. 60 IN MX 10 mx.judge.test.",
		"backup.test. 60 IN MX 10 mx1.far.test.", "backup.test. 60 IN MX 20 mx.judge.test.", "listed.test. 60 IN MX 10 mx1.far.test.",
		`strict.test. 60 IN TXT "v=spf1 -all"`, `_dmarc.strict.test. 60 IN TXT "v=DMARC1; p=reject"`,
		"9.0.0.127.bl.test. 60 IN A 127.0.0.2", "mx.judge.test. 60 IN A 127.0.0.1",
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(names.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0") // a port that nobody answers on
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	s := startSite(t, "POSTROOM_DNS_SERVERS="+names.Addr, "POSTROOM_DELIVERY_PORT="+port, "POSTROOM_DELIVERY_PRIVATE_DESTINATIONS=true",
		"POSTROOM_INBOUND_SPF=mark", "POSTROOM_INBOUND_DMARC=enforce", "POSTROOM_INBOUND_OWN_DOMAINS=enforce",
		"POSTROOM_INBOUND_BLOCKLISTS=bl.test", "POSTROOM_AUTH_BLOCK_GUESSERS=false")
	s.addAccounts("ivy@other.test", "jack@other.test")
	for _, local := range []string{"carol", "dave", "frank", "gina", "henry", `"odd one"`} {
		args := []string{"account", "add", local + "@judge.test", "--password-stdin"}
		if local == "frank" {
			args = append(args, "--quota", "2kB")
		}
		s.command(password+"\n", args...)
	}
	for _, args := range [][]string{
		{"account", "disable", "carol@judge.test"},
		{"account", "disable", "dave@judge.test", "--refuse"},
		{"limit", "set", "gina@judge.test", "--messages-per-hour", "3"},
		{"limit", "set", "henry@judge.test", "--recipients-per-day", "2"},
		{"limit", "set", "other.test", "--messages-per-hour", "6"},
		{"alias", "add", "info@judge.test", "alice@judge.test"},
		{"alias", "add", "team@judge.test", "info@judge.test", "bob@judge.test"},
		{"alias", "add", "chain@judge.test", "team@judge.test"},
		{"alias", "add", "out@judge.test", "someone@far.test"},
		{"alias", "add", "both@judge.test", "alice@judge.test", "copy@far.test"},
		{"alias", "add", "dangling@judge.test", "nobody@judge.test"},
		{"alias", "add", "toward@judge.test", "dave@judge.test"},
		{"alias", "add", "@other.test", "ivy@other.test"},
		{"domain", "add", "backup.test", "--backup"},
		{"domain", "add", "listed.test", "--backup"},
		{"domain", "recipients", "listed.test", "--add", "known"},
		{"route", "add", "routed.test", "127.0.0.40:2500", "--tls", "must"},
		{"route", "add", "routed.test", "127.0.0.41:2500", "--from", "judge.test"},
		{"route", "add", "routed.test", "127.0.0.42:2500", "--from", "bob@judge.test"},
		{"source", "add", "127.0.0.60", "--name", "out.judge.test", "--for", "bob@judge.test"},
		{"queue", "pause", "plain.test"},
		{"device", "add", "127.0.0.50", "alice@judge.test"},
		{"device", "add", "127.0.0.51", "carol@judge.test"},
		{"block", "add", "127.0.0.66"},
		{"block", "add", "evil.test"},
		{"allow", "add", "friend@strict.test"},
	} {
		s.command("", args...)
	}
	return s
}

// command runs a command that succeeds.
func (s *site) command(stdin string, args ...string) {
	s.t.Helper()
	if _, err := s.Command(s.t.Context(), stdin, args...); err != nil {
		s.t.Fatal(err)
	}
}

// asked calls an operation of the running server.
func asked[Res any](s *site, name string, req any) Res {
	s.t.Helper()
	c, err := dialControl(s.t.Context(), s.Data())
	if err != nil {
		s.t.Fatal(err)
	}
	conn := overSocket(c)
	res, err := call[Res](s.t.Context(), conn.client, name, req)
	if err := errors.Join(err, conn.close()); err != nil {
		s.t.Fatalf("%s %+v: %v", name, req, err)
	}
	return res
}

// A pair is a mail that is asked about, and then sent.
type pair struct{ from, to, as, ip string }

// pairs makes pairs, always the same.
func pairs(n int) []pair {
	dice := rand.New(rand.NewPCG(20, 26))
	one := func(list ...string) string { return list[dice.IntN(len(list))] }
	recipients := []string{
		"alice@judge.test", "Bob@Judge.test", `"alice"@judge.test`, "alice+tag@judge.test", `"odd one"@judge.test`, `"no such"@judge.test`,
		"carol@judge.test", "dave@judge.test", "frank@judge.test", "frank@judge.test", "info@judge.test", "chain@judge.test", "out@judge.test",
		"both@judge.test", "dangling@judge.test", "toward@judge.test", "nobody@judge.test", "anything@other.test", "postmaster@judge.test", "postmaster",
		"x@backup.test", "known@listed.test", "unknown@listed.test", "a@far.test", "b@far.test", "grüße@far.test", "a@null.test", "a@nowhere.test",
		"a@plain.test", "a@routed.test", "a@self.test", "a@[127.0.0.35]", "SRS0=abcd=EF=far.test=a@judge.test",
	}
	locals := []string{"alice", "bob", "gina", "gina", "henry", "frank"}
	var list []pair
	for range n {
		p := pair{to: one(recipients...)}
		switch k := dice.IntN(20); {
		case k < 9: // one of our users, as what is its own
			local := one(locals...)
			p.as = local + "@judge.test"
			p.from = one(p.as, p.as, local+"+tag@judge.test", strings.ToUpper(local)+"@judge.test", `"`+local+`"@judge.test`)
		case k < 10:
			p.as = one("ivy@other.test", "jack@other.test")
			p.from = p.as
		case k < 12: // as what is or isn't
			p.as = one("alice@judge.test", "bob@judge.test", "ivy@other.test")
			p.from = one("info@judge.test", "team@judge.test", "chain@judge.test", "both@judge.test", "alice@judge.test", "stranger@far.test", "whoever@other.test", "x@backup.test", "")
		case k < 13:
			p.as = one("carol@judge.test", "dave@judge.test")
			p.from = p.as
		case k < 15: // a device
			p.as, p.ip = admin.Outside, one("127.0.0.50", "127.0.0.50", "127.0.0.51")
			p.from = one("alice@judge.test", "alice+scan@judge.test", "bob@judge.test", "carol@judge.test")
		default: // other servers
			p.as, p.ip = admin.Outside, one("127.0.0.8", "127.0.0.8", "127.0.0.8", "127.0.0.9", "127.0.0.66")
			p.from = one("a@far.test", "a@far.test", "a@far.test", "", "forged@strict.test", "friend@strict.test", "eve@evil.test", "alice@judge.test", "x@nowhere.test")
		}
		list = append(list, p)
	}
	return list
}

// bringPair sends the mail for real, and returns the first reply that isn't positive, or
// the last.
func (s *site) bringPair(p pair) string {
	s.t.Helper()
	r := admin.Rehearsal{Helo: "client.far.test", From: addressOf(s.t, p.from), To: addressOf(s.t, p.to)}
	at, ip := s.SMTP, p.ip
	if p.as != admin.Outside {
		at, ip, r.As = s.Submission, "127.0.0.1", store.Account{ID: 1, Address: addressOf(s.t, p.as)}
	}
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(ip), 0))}
	conn, err := d.DialContext(s.t.Context(), "tcp", at)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	lines := previewDialogue(r, "mx.judge.test")
	if p.as != admin.Outside {
		lines[1] = "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00"+p.as+"\x00"+password))
	}
	reply, _, err := speak(conn, lines)
	if err != nil {
		s.t.Fatalf("%+v: %v", p, err)
	}
	return reply
}

func addressOf(t *testing.T, text string) mail.Address {
	t.Helper()
	switch text {
	case "":
		return mail.Address{}
	case "postmaster":
		return mail.Address{Local: text}
	}
	a, err := mail.ParseAddress(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return a
}

// What the preview says is what SMTP says, and where the mail goes then.
func TestPreviewIsWhatHappens(t *testing.T) {
	s := previewSite(t)
	replies, steps := make(map[string]int), make(map[string]int)
	for i, p := range pairs(200) {
		said := asked[admin.Preview](s, "check/delivery", admin.PreviewRequest{From: p.from, To: p.to, As: p.as, IP: p.ip, Helo: "client.far.test"})
		reply := s.bringPair(p)
		short, id, taken := strings.Cut(reply, " accepted as ")
		if taken {
			short += " accepted"
		}
		if said.Reply != short || said.Taken != taken {
			t.Errorf("%d, %+v: the preview says %q, %t; SMTP says %q", i, p, said.Reply, said.Taken, reply)
		}
		replies[short]++
		steps[said.Step]++
		if taken {
			s.goesThere(p, said, id)
		}
	}
	for _, reply := range slices.Sorted(maps.Keys(replies)) {
		t.Logf("%4d  %s", replies[reply], reply)
	}
	t.Logf("they answer %v", steps)
	if len(replies) < 12 || len(steps) < 4 {
		t.Errorf("only %d different replies to %d different commands: that shows little", len(replies), len(steps))
	}
}

// goesThere fails if a mail went elsewhere than was said.
func (s *site) goesThere(p pair, said admin.Preview, id string) {
	s.t.Helper()
	var trails []store.Trail
	if s.list(&trails, "trace", id); len(trails) != 1 {
		s.t.Fatalf("%d trails of %s", len(trails), id)
	}
	delivered, queued := 0, []string{}
	for _, e := range trails[0].Events {
		switch e.Kind {
		case store.Delivered:
			delivered++
		case store.Queued:
			queued = append(queued, e.Recipient)
		}
	}
	foretold := []string{}
	for _, r := range said.Remote {
		foretold = append(foretold, r.Address)
	}
	if delivered != len(said.Maildrops) || !slices.Equal(queued, foretold) {
		s.t.Errorf("%+v: said were %d maildrops and %v, it went into %d and to %v", p, len(said.Maildrops), foretold, delivered, queued)
	}
}

// The report tells who may, where it leads, and how it would leave.
func TestPreviewTellsTheWay(t *testing.T) {
	s := previewSite(t)
	of := func(from, to string) admin.Preview {
		t.Helper()
		return asked[admin.Preview](s, "check/delivery", admin.PreviewRequest{From: from, To: to})
	}
	way := func(from, to string) admin.PreviewWay {
		t.Helper()
		p := of(from, to)
		if len(p.Remote) != 1 || p.Remote[0].Way == nil {
			t.Fatalf("%s to %s: %+v", from, to, p.Remote)
		}
		return *p.Remote[0].Way
	}
	if w := way("alice@judge.test", "a@far.test"); len(w.Hosts) != 2 || w.By != "mx" || w.Hosts[0].Name != "mx1.far.test" || *w.Hosts[1].Preference != 20 ||
		w.Hosts[0].Addresses[0].IP != "127.0.0.31" || len(w.Hosts[1].Addresses) != 2 || w.Hosts[0].Addresses[0].TLS != "may" || w.Problem != "" {
		t.Errorf("far.test: %+v", w)
	}
	for to, problem := range map[string]string{
		"a@null.test": "the domain takes no mail (null MX)", "a@nowhere.test": "the domain does not exist", "a@self.test": "mail for this domain would come back to ourselves",
	} {
		if w := way("alice@judge.test", to); w.Problem != problem || !w.Final || len(w.Hosts) > 0 {
			t.Errorf("%s: %+v", to, w)
		}
	}
	for from, host := range map[string]string{"bob@judge.test": "127.0.0.42", "alice@judge.test": "127.0.0.41", "ivy@other.test": "127.0.0.40"} {
		if w := way(from, "a@routed.test"); w.By != "route" || w.Route.Host != host || w.Hosts[0].Addresses[0].IP != host {
			t.Errorf("from %s: %+v", from, w)
		}
	}
	if w := way("ivy@other.test", "a@routed.test"); w.Hosts[0].Addresses[0].TLS != "must" || w.Hosts[0].Addresses[0].Why == "" {
		t.Errorf("a route with TLS to this machine: %+v", w)
	}
	if w := way("bob@judge.test", "a@far.test"); len(w.Sources) != 1 || w.Sources[0] != (admin.PreviewSource{IP: "127.0.0.60", Name: "out.judge.test"}) {
		t.Errorf("bob's source: %+v", w)
	}
	if w := way("alice@judge.test", "a@plain.test"); w.PausedSince.IsZero() {
		t.Errorf("a paused destination: %+v", w)
	}
	if w := way("alice@judge.test", "x@backup.test"); !w.Backup || len(w.Hosts) != 1 || w.Final {
		t.Errorf("a backup domain: %+v", w)
	}
	p := of("info@judge.test", "chain@judge.test")
	if !p.Taken || p.Sender.Account != "alice@judge.test" || !p.Sender.May || len(p.Sender.Steps) != 2 || len(p.Steps) != 5 || len(p.Maildrops) != 2 || len(p.Limits) != 0 {
		t.Errorf("aliases at both ends: %+v", p)
	}
	if p := of("gina@judge.test", "a@far.test"); len(p.Limits) != 3 || *p.Limits[0].MessagesPerHour.Left != 3 || p.Over != nil {
		t.Errorf("limits: %+v", p)
	}
	if p := of("a@far.test", "out@judge.test"); !p.Unasked || p.Sender.Account != "" || !strings.HasPrefix(p.Remote[0].Sender, "SRS0=") || p.Remote[0].Via != "out@judge.test" {
		t.Errorf("a forward: %+v", p)
	}
	// To ask is to count nothing.
	if p := of("gina@judge.test", "a@far.test"); *p.Limits[0].MessagesPerHour.Left != 3 {
		t.Errorf("asking has counted: %+v", p.Limits)
	}
}

func TestCheckDelivery(t *testing.T) {
	s := previewSite(t)
	tests := []struct {
		it     string
		args   []string
		status int
		says   string
	}{
		{"tells that a mail would be taken", []string{"alice@judge.test", "chain@judge.test"}, 0, "250 2.0.0 accepted"},
		{"tells where it leads", []string{"alice@judge.test", "chain@judge.test"}, 0, "chain@judge.test: an alias for team@judge.test"},
		{"tells the hosts", []string{"alice@judge.test", "a@far.test"}, 0, "mx1.far.test:"},
		{"tells that one wouldn't", []string{"alice@judge.test", "nobody@judge.test"}, 1, "550 5.1.1"},
		{"asks as somebody", []string{"alice@judge.test", "bob@judge.test", "--as", "bob@judge.test"}, 1, "You may not send as <alice@judge.test>"},
		{"asks from outside", []string{"forged@strict.test", "bob@judge.test", "--ip", "127.0.0.8"}, 1, "dmarc fail"},
		{"knows reports", []string{"<>", "bob@judge.test"}, 0, "sent by    another server"},
		{"wants addresses", []string{"alice", "bob@judge.test"}, 1, ""},
		{"wants an account", []string{"alice@judge.test", "bob@judge.test", "--as", "nobody@judge.test"}, 1, ""},
		{"wants both", []string{"alice@judge.test"}, 2, ""},
	}
	for _, running := range []bool{true, false} {
		if !running {
			s.stop()
		}
		for _, tt := range tests {
			t.Run(fmt.Sprintf("it %s, running %t", tt.it, running), func(t *testing.T) {
				out, err := s.Command(t.Context(), "", append([]string{"check", "delivery"}, tt.args...)...)
				status := 0
				if failed, ok := errors.AsType[*exec.ExitError](err); ok {
					status = failed.ExitCode()
				}
				if status != tt.status || !strings.Contains(string(out), tt.says) {
					t.Errorf("exit status %d, want %d:\n%s%v", status, tt.status, out, err)
				}
			})
		}
	}
}

// Where nobody outside of this machine may be asked, it is said that nobody was.
func TestPreviewInLocalMode(t *testing.T) {
	p, _ := watchedProgram(t)
	ctx := t.Context()
	if err := seed(ctx, p.admin, func(login) {}); err != nil {
		t.Fatal(err)
	}
	said, err := p.admin.PreviewDelivery(ctx, admin.PreviewRequest{From: "alice@example.test", To: "a@elsewhere.example"})
	if err != nil || !said.Taken || len(said.Remote) != 1 {
		t.Fatalf("%+v, %v", said, err)
	}
	if way := said.Remote[0].Way; !strings.Contains(way.Problem, "nothing outside of this machine is contacted") || way.Final || len(way.Hosts) != 0 {
		t.Errorf("the way is %+v", way)
	}
	if _, err := p.admin.AddRoute(ctx, admin.AddRoute{Domain: "elsewhere.example", Host: "192.0.2.25"}); err != nil {
		t.Fatal(err)
	}
	said, err = p.admin.PreviewDelivery(ctx, admin.PreviewRequest{From: "alice@example.test", To: "a@elsewhere.example"})
	if err != nil || len(said.Remote[0].Way.Hosts) != 1 || said.Remote[0].Way.Hosts[0].Addresses[0].IP != "192.0.2.25" {
		t.Errorf("with a route it is %+v, %v", said, err)
	}
}
