package admin_test

import (
	"encoding/json"
	"net/netip"
	"testing"

	"postroom/store"
	"postroom/store/admin"
)

func TestSources(t *testing.T) {
	f := newFixture(t)
	f.fill()
	ctx := t.Context()
	f.OwnAddress = func(ip netip.Addr) bool {
		return ip == netip.MustParseAddr("192.0.2.1") || ip == netip.MustParseAddr("2001:db8::1")
	}
	for _, ask := range []admin.AddSource{
		{IP: "192.0.2.1", Name: "Out.Example.org."},
		{IP: "::ffff:192.0.2.1", For: "alice@example.org"},
		{IP: "2001:DB8::1", For: "example.org"},
	} {
		_, err := f.AddSource(ctx, ask)
		f.must(err)
	}
	for _, test := range []struct {
		it   string
		ask  admin.AddSource
		kind admin.Kind
		says string
	}{
		{"refuses a name for an address", admin.AddSource{IP: "out.example.org"}, admin.Invalid, `"out.example.org" is not an IP address`},
		{"refuses every address at once", admin.AddSource{IP: "0.0.0.0"}, admin.Invalid, `"0.0.0.0" is not an IP address to send from`},
		{"refuses a zone", admin.AddSource{IP: "fe80::1%eth0"}, admin.Invalid, "is not an IP address to send from"},
		{"refuses another machine's", admin.AddSource{IP: "192.0.2.2"}, admin.Invalid, "192.0.2.2 is not an address of this machine. Give it to a network interface first"},
		{"refuses what is no name", admin.AddSource{IP: "192.0.2.1", Name: "a b"}, admin.Invalid, `"a b" is not a full host name`},
		{"refuses a short name", admin.AddSource{IP: "192.0.2.1", Name: "localhost"}, admin.Invalid, `"localhost" is not a full host name`},
		{"refuses a nickname of this machine", admin.AddSource{IP: "192.0.2.1", Name: "localhost.localdomain"}, admin.Invalid, "is not a full host name"},
		{"refuses what is there", admin.AddSource{IP: "192.0.2.1"}, admin.Conflict, "Mail from everybody leaves from 192.0.2.1 already"},
		{"refuses an account that isn't here", admin.AddSource{IP: "192.0.2.1", For: "dave@example.org"}, admin.NotFound, "There is no account dave@example.org."},
	} {
		t.Run(test.it, func(t *testing.T) {
			_, err := f.AddSource(t.Context(), test.ask)
			f.fails(err, test.kind, nil, test.says)
		})
	}
	sources, err := f.Sources(ctx)
	f.must(err)
	encoded, err := json.Marshal(sources)
	f.must(err)
	const created = `"created":"2026-05-06T07:08:09Z"`
	want := `[{"ip":"192.0.2.1","name":"out.example.org",` + created + `},` +
		`{"ip":"192.0.2.1","for":"alice@example.org",` + created + `},` +
		`{"ip":"2001:db8::1","for":"example.org",` + created + `}]`
	if string(encoded) != want {
		t.Errorf("got  %s\nwant %s", encoded, want)
	}
	err = f.RemoveSource(ctx, admin.RemoveSource{IP: "192.0.2.1", For: "example.org"})
	f.fails(err, admin.NotFound, store.ErrNotFound, "No mail from example.org is told to leave from 192.0.2.1.")
	f.OwnAddress = func(netip.Addr) bool { return false } // it may have gone from the machine
	for _, ask := range []admin.RemoveSource{{IP: "192.0.2.1"}, {IP: "192.0.2.1", For: "alice@example.org"}, {IP: "2001:db8::1", For: "example.org"}} {
		f.must(f.RemoveSource(ctx, ask))
	}
	if sources, err := f.Sources(ctx); err != nil || sources == nil || len(sources) != 0 {
		t.Errorf("sources are %+v, %v, want an empty list", sources, err)
	}
}
