package srs

import (
	"errors"
	"strings"
	"testing"
	"time"

	"postroom/store/mail"
)

var made = time.Date(2026, 11, 21, 22, 14, 4, 0, time.UTC)

const day = 24 * time.Hour

func at(t time.Time, secrets ...string) *Rewriter {
	r := &Rewriter{Now: func() time.Time { return t }}
	for _, s := range secrets {
		r.Secrets = append(r.Secrets, []byte(s))
	}
	return r
}

func address(t testing.TB, s string) mail.Address {
	t.Helper()
	a, err := mail.ParseAddress(s)
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return a
}

func TestForward(t *testing.T) {
	long := strings.Repeat("x", 60)
	tests := []struct{ name, sender, want, back string }{
		{"rewrites a plain sender", "bob@far.test", "SRS0=HASHHASH=JK=far.test=bob@alias.test", "bob@far.test"},
		{"keeps the case of the local part", "Bob.Smith@far.test", "SRS0=HASHHASH=JK=far.test=Bob.Smith@alias.test", "Bob.Smith@far.test"},
		{"keeps tags and equal signs", "a=b+c=d@far.test", "SRS0=HASHHASH=JK=far.test=a=b+c=d@alias.test", "a=b+c=d@far.test"},
		{"keeps what needs quotes", `"a @\"b"@far.test`, `"SRS0=HASHHASH=JK=far.test=a @\"b"@alias.test`, `"a @\"b"@far.test`},
		{"keeps an empty local part", `""@far.test`, "SRS0=HASHHASH=JK=far.test=@alias.test", `""@far.test`},
		{"keeps an address literal", "bob@[IPv6:2001:db8::1]", `"SRS0=HASHHASH=JK=[IPv6:2001:db8::1]=bob"@alias.test`, "bob@[IPv6:2001:db8::1]"},
		{"keeps UTF-8", "grå@bücher.test", "SRS0=HASHHASH=JK=xn--bcher-kva.test=grå@alias.test", "grå@xn--bcher-kva.test"},
		{"is longer than 64 octets where it has to be", long + "@far.test", "SRS0=HASHHASH=JK=far.test=" + long + "@alias.test", long + "@far.test"},
		{
			"leads back to the forwarder of an SRS0 address",
			"SRS0=abcd=XY=far.test=bob@one.test",
			"SRS1=JKHASHHASH=one.test==abcd=XY=far.test=bob@alias.test", "SRS0=abcd=XY=far.test=bob@one.test",
		},
		{
			"knows the other separators, and takes any case",
			"srs0+abcd+XY=far.test=bob@one.test",
			"SRS1=JKHASHHASH=one.test=+abcd+XY=far.test=bob@alias.test", "SRS0+abcd+XY=far.test=bob@one.test",
		},
		{
			"leads back to the first forwarder of an SRS1 address",
			"SRS1=efgh=one.test==abcd=XY=far.test=bob@two.test",
			"SRS1=JKHASHHASH=one.test==abcd=XY=far.test=bob@alias.test", "SRS0=abcd=XY=far.test=bob@one.test",
		},
		{
			"leads back to who has made an SRS1 address that can't be read",
			"SRS1=efgh=one.test@two.test",
			"SRS0=HASHHASH=JK=two.test=SRS1=efgh=one.test@alias.test", "SRS1=efgh=one.test@two.test",
		},
		{"takes no address for rewritten that only looks like it", "srs0.bob@far.test", "SRS0=HASHHASH=JK=far.test=srs0.bob@alias.test", "srs0.bob@far.test"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := at(made, "secret")
			got, ok := r.Forward(address(t, tt.sender), "alias.test")
			p, hash, parsed := parse(got)
			if !ok || !parsed {
				t.Fatalf("%q became %q", tt.sender, got)
			}
			if len(hash) != 8 || hash == "HASHHASH" {
				t.Errorf("the hash is %q", hash)
			}
			if shown := strings.Replace(got.String(), hash, "HASHHASH", 1); shown != tt.want {
				t.Errorf("got %q, want %q (%+v)", shown, tt.want, p)
			}
			again := address(t, got.String()) // as another server gives it back
			back, err := r.Reverse(again)
			if err != nil || back.String() != tt.back {
				t.Errorf("%q leads back to %q, %v; want %q", got, back, err, tt.back)
			}
		})
	}
}

func TestForwardHasLimits(t *testing.T) {
	r := at(made, "secret")
	if a, ok := r.Forward(mail.Address{}, "alias.test"); ok {
		t.Errorf("the null sender became %q", a)
	}
	domain := strings.Repeat(strings.Repeat("d", 40)+".", 4) + "test"
	fits := address(t, strings.Repeat("x", 57)+"@"+domain)
	if a, ok := r.Forward(fits, "alias.test"); !ok || len(a.String()) != 254 {
		t.Errorf("%d octets, %v", len(a.String()), ok)
	}
	if a, ok := r.Forward(address(t, strings.Repeat("x", 58)+"@"+domain), "alias.test"); ok {
		t.Errorf("an address of %d octets", len(a.String()))
	}
}

func TestReverse(t *testing.T) {
	bob := address(t, "bob@far.test")
	now, _ := at(made, "secret").Forward(bob, "alias.test")
	chained, _ := at(made, "secret").Forward(address(t, "SRS0=a=b=far.test=bob@one.test"), "alias.test")
	shouted := mail.Address{Local: strings.ToUpper(now.Local), Domain: now.Domain}
	whispered := mail.Address{Local: strings.ToLower(chained.Local), Domain: chained.Domain}
	tests := []struct {
		name     string
		rewriter *Rewriter
		address  mail.Address
		want     string
		err      error
	}{
		{"takes an address for three weeks", at(made.Add(21*day), "secret"), now, "bob@far.test", nil},
		{"takes none after", at(made.Add(22*day), "secret"), now, "", ErrExpired},
		{"takes no SRS1 address after", at(made.Add(22*day), "secret"), chained, "", ErrExpired},
		{"takes an address though the clock was set back", at(made.Add(-day), "secret"), now, "bob@far.test", nil},
		{"takes none of the day after tomorrow", at(made.Add(-2*day), "secret"), now, "", ErrForged},
		{"takes none when its day comes round again", at(made.Add(1024*day), "secret"), now, "", ErrForged},
		{"takes one that is signed with an earlier secret", at(made, "newer", "secret"), now, "bob@far.test", nil},
		{"takes none that is signed with another secret", at(made, "newer"), now, "", ErrForged},
		{"takes capitals", at(made, "secret"), shouted, "BOB@far.test", nil},
		{"takes small letters", at(made, "secret"), whispered, "SRS0=a=b=far.test=bob@one.test", nil},
		{"takes none of another domain", at(made, "secret"), mail.Address{Local: now.Local, Domain: "other.test"}, "", ErrForged},
		{"takes no plain address", at(made, "secret"), bob, "", ErrForged},
		{"takes no empty address", at(made, "secret"), mail.Address{}, "", ErrForged},
		{"takes no foreign SRS0", at(made, "secret"), address(t, "SRS0=abcd=XY=far.test=bob@alias.test"), "", ErrForged},
		{"takes no foreign SRS1", at(made, "secret"), address(t, "SRS1=abcd=one.test==x@alias.test"), "", ErrForged},
		{"takes no letters that only look like a day", at(made, "secret"), address(t, "SRS0=abcdefgh=ı=far.test=bob@alias.test"), "", ErrForged},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.rewriter.Reverse(tt.address)
			if got.String() != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("got %q, %v; want %q, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

// TestForgery changes each octet of an address, in all ways that are more than
// another case, and takes the parts of one kind of address for the other.
func TestForgery(t *testing.T) {
	r := at(made, "secret")
	for _, sender := range []string{"bob@far.test", "SRS0=a=b=far.test=bob@one.test"} {
		a, _ := r.Forward(address(t, sender), "alias.test")
		for i := range len(a.Local) {
			for c := range 256 {
				forged := []byte(a.Local)
				forged[i] = byte(c)
				if fold(string(forged)) == fold(a.Local) {
					continue
				}
				if to, err := r.Reverse(mail.Address{Local: string(forged), Domain: a.Domain}); err == nil {
					t.Fatalf("%q leads to %q", forged, to)
				}
			}
		}
	}
	zero, _ := r.Forward(mail.Address{Local: "=x", Domain: "far.test"}, "alias.test")
	p, hash, _ := parse(zero)
	p.kind, p.day = '1', r.today()
	if to, err := r.Reverse(mail.Address{Local: p.local(hash), Domain: "alias.test"}); err == nil {
		t.Errorf("a hash of an SRS0 address is good for an SRS1 address: %q", to)
	}
}

// FuzzRoundTrip checks that whatever is rewritten can be sent as an address and
// leads back, through any number of forwarders to the first, and that nothing that
// we didn't make leads anywhere.
func FuzzRoundTrip(f *testing.F) {
	for _, s := range []string{
		"bob@far.test", `"a b"@far.test`, "SRS0=a=b=c=d@one.test", "SRS1=a=b==c=d@two.test", "srs1-a=b=@x.test", "SRS1=a=b@c.test", "grå@x.test",
		"SRS0=@x.test", "SRS1=@x.test", "a@[192.0.2.1]",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		sender, err := mail.ParseAddress(s)
		if err != nil {
			return
		}
		one, two := at(made, "one"), at(made, "two")
		if to, err := one.Reverse(sender); err == nil {
			t.Fatalf("%q leads to %q", sender, to)
		}
		a, ok := one.Forward(sender, "one.test")
		if !ok {
			return
		}
		back, err := one.Reverse(address(t, a.String()))
		if err != nil || !Is(sender) && back != sender {
			t.Fatalf("%q became %q, which leads to %q, %v", sender, a, back, err)
		}
		b, ok := two.Forward(a, "two.test")
		if !ok {
			return
		}
		again, err := two.Reverse(address(t, b.String()))
		if err != nil || !strings.HasPrefix(a.Local, "SRS1") && again != a {
			t.Fatalf("%q became %q, which leads to %q, %v", a, b, again, err)
		}
		if strings.HasPrefix(a.Local, "SRS1") && again != back {
			t.Fatalf("%q leads to %q, not to the first forwarder's %q", b, again, back)
		}
	})
}
