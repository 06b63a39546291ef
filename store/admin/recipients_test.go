package admin_test

import (
	"slices"
	"testing"

	"postroom/store"
	"postroom/store/admin"
)

func TestDomainRecipients(t *testing.T) {
	f := newFixture(t)
	f.fill()
	ctx := t.Context()
	_, err := f.AddDomain(ctx, admin.AddDomain{Name: "backup.example", Backup: true})
	f.must(err)
	for _, step := range []struct {
		it   string
		ask  admin.ChangeDomainRecipients
		any  bool
		want []string
	}{
		{"changes nothing", admin.ChangeDomainRecipients{}, true, []string{}},
		{"begins a list", admin.ChangeDomainRecipients{Add: []string{"Bob@Backup.example", "alice", " "}}, false, []string{"alice@backup.example", "bob@backup.example"}},
		{"changes it", admin.ChangeDomainRecipients{Add: []string{`"c d"`}, Remove: []string{"ALICE@backup.example"}}, false, []string{"bob@backup.example", `"c d"@backup.example`}},
		{"replaces it", admin.ChangeDomainRecipients{Set: []string{"dave"}}, false, []string{"dave@backup.example"}},
		{"empties it", admin.ChangeDomainRecipients{Set: []string{}}, false, []string{}},
		{"drops it", admin.ChangeDomainRecipients{Any: true}, true, []string{}},
	} {
		step.ask.Name = "Backup.example"
		got, err := f.ChangeDomainRecipients(ctx, step.ask)
		f.must(err)
		again, err := f.DomainRecipients(ctx, "backup.example")
		f.must(err)
		if got.Any != step.any || got.Recipients == nil || !slices.Equal(got.Recipients, step.want) {
			t.Errorf("%s: got %+v, want %v, %q", step.it, got, step.any, step.want)
		}
		if again.Any != got.Any || !slices.Equal(again.Recipients, got.Recipients) {
			t.Errorf("%s: shown as %+v, then as %+v", step.it, got, again)
		}
		domains, err := f.Domains(ctx)
		f.must(err)
		if domains[0].Name != "backup.example" || domains[0].Listed == step.any {
			t.Errorf("%s: the domain is shown as %+v", step.it, domains[0])
		}
	}
}

func TestDomainRecipientsRefuses(t *testing.T) {
	f := newFixture(t)
	f.fill()
	ctx := t.Context()
	for _, name := range []string{"backup.example", "any.example"} {
		_, err := f.AddDomain(ctx, admin.AddDomain{Name: name, Backup: true})
		f.must(err)
	}
	_, err := f.ChangeDomainRecipients(ctx, admin.ChangeDomainRecipients{Name: "backup.example", Set: []string{"alice", "bob"}})
	f.must(err)
	for _, test := range []struct {
		it   string
		ask  admin.ChangeDomainRecipients
		kind admin.Kind
		says string
	}{
		{"a domain that isn't here", admin.ChangeDomainRecipients{Name: "nowhere.example", Any: true}, admin.NotFound, "There is no domain nowhere.example here"},
		{"a local domain", admin.ChangeDomainRecipients{Name: "example.org", Add: []string{"x"}}, admin.Invalid, "example.org is not a backup domain"},
		{"another domain's address", admin.ChangeDomainRecipients{Name: "backup.example", Add: []string{"x@example.org"}}, admin.Invalid, "x@example.org is not an address of backup.example"},
		{"what is no address", admin.ChangeDomainRecipients{Name: "backup.example", Add: []string{"a b"}}, admin.Invalid, `"a b" is not a mail address, nor what stands before its @`},
		{"to remove whom it hasn't", admin.ChangeDomainRecipients{Name: "backup.example", Remove: []string{"alice", "carol"}, Add: []string{"dave"}}, admin.NotFound, "carol@backup.example is not among the recipients of backup.example"},
		{"to remove from no list", admin.ChangeDomainRecipients{Name: "any.example", Remove: []string{"alice"}}, admin.Invalid, "any.example has no list of recipients"},
		{"all and some", admin.ChangeDomainRecipients{Name: "backup.example", Any: true, Add: []string{"x"}}, admin.Invalid, "Ask for one of them"},
		{"a list and changes", admin.ChangeDomainRecipients{Name: "backup.example", Set: []string{"x"}, Remove: []string{"alice"}}, admin.Invalid, "not both at once"},
	} {
		t.Run(test.it, func(t *testing.T) {
			_, err := f.ChangeDomainRecipients(t.Context(), test.ask)
			f.fails(err, test.kind, nil, test.says)
		})
	}
	got, err := f.DomainRecipients(ctx, "backup.example")
	f.must(err)
	if !slices.Equal(got.Recipients, []string{"alice@backup.example", "bob@backup.example"}) {
		t.Errorf("after refusals the list is %q", got.Recipients)
	}
	_, err = f.DomainRecipients(ctx, "example.org")
	f.fails(err, admin.Invalid, nil, "example.org is not a backup domain")
	_, err = f.DomainRecipients(ctx, "nowhere.example")
	f.fails(err, admin.NotFound, store.ErrNotFound, "There is no domain nowhere.example here")
}
