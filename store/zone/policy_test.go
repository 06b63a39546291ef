package zone

import "testing"

func TestPolicy(t *testing.T) {
	s := Server{Hostname: "mail.example.org", STS: "testing"}
	p, ok := s.Policy()
	if text := "version: STSv1\r\nmode: testing\r\nmx: mail.example.org\r\nmax_age: 86400\r\n"; !ok || p.Text() != text {
		t.Errorf("the policy is %q, %v", p.Text(), ok)
	}
	ids := map[string]string{p.ID(): "testing"}
	for _, change := range []Server{{Hostname: "mail.example.org", STS: "enforce"}, {Hostname: "mx.example.org", STS: "testing"}} {
		other, ok := change.Policy()
		if ids[other.ID()] != "" || !ok || len(other.ID()) > 32 {
			t.Errorf("%+v has the id %q", change, other.ID())
		}
		ids[other.ID()] = change.STS
	}
	if again, _ := (Server{Hostname: "mail.example.org", STS: "testing", Signs: true, Ports: Ports{SMTP: 25}}).Policy(); again.ID() != p.ID() {
		t.Error("the id changes with what isn't in the policy")
	}
	for _, mode := range []string{"off", ""} {
		if _, ok := (Server{Hostname: "mail.example.org", STS: mode}).Policy(); ok {
			t.Errorf("there is a policy in mode %q", mode)
		}
	}
}
