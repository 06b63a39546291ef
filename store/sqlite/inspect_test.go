package sqlite

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"postroom/store"
	"postroom/store/mail"
)

var problemWords = map[store.ProblemKind]string{
	store.TargetUnknown: "unknown", store.TargetCaught: "caught", store.TargetRefuses: "refuses", store.TargetDisabled: "disabled",
	store.TargetHeld: "held", store.TargetUnlisted: "unlisted", store.TargetReturns: "returns", store.TargetLoops: "loops",
	store.SourceTakesTag: "takes the tag of", store.SourceLeadsNowhere: "nowhere",
}

// problemsText says problems in one line.
func problemsText(list []store.AddressProblem) string {
	var words []string
	for _, p := range list {
		word := problemWords[p.Kind]
		if p.At != p.Target && p.Kind != store.SourceLeadsNowhere {
			word += " " + p.At.String()
		}
		if !p.Target.IsNull() {
			word = p.Target.String() + " " + word
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

func TestInspect(t *testing.T) {
	f := newDirectory(t)
	fillDirectory(t, f)
	for _, local := range []string{"back", "far"} {
		f.account(t, store.Account{}, local+"@example.org")
	}
	f.forward(t, false, "back@example.org", "new@example.org", "nobody@example.org")
	f.forward(t, false, "far@example.org", "x@far.test")
	for _, test := range []struct{ it, source, targets, want string }{
		{"finds nothing wrong", "new@example.org", "alice@example.org sales@example.org x@far.test postmaster@example.org far@example.org", ""},
		{"names a target that nobody has", "new@example.org", "alice@example.org nobody@example.org", "nobody@example.org unknown"},
		{"names it behind another alias", "new@example.org", "dangling@example.org alice@example.org", "dangling@example.org unknown nobody@example.org"},
		{"says if it leads to nobody at all", "new@example.org", "nobody@example.org", "nobody@example.org unknown, nowhere"},
		{"says if a catch-all takes it", "new@example.org", "nobody@example.net", "nobody@example.net caught"},
		{"says if an account takes no mail", "new@example.org", "some@example.org", "some@example.org refuses gone@example.org"},
		{"says if nobody collects it", "new@example.org", "away@example.org", "away@example.org disabled"},
		{"says if we only hold its mail", "new@example.org", "user@backup.example", "user@backup.example held"},
		{"says if the other server won't know it", "new@example.org", "other@listed.example", "other@listed.example unlisted"},
		{"says if a forward leads back, and nothing else of it", "new@example.org", "back@example.org", "back@example.org returns new@example.org"},
		{"says if it loops", "new@example.org", "new@example.org", "new@example.org loops, nowhere"},
		{"says if it loops under a tag", "new@example.org", "new+x@example.org alice@example.org", "new+x@example.org loops"},
		{"says if it loops by another alias", "sales@example.org", "team@example.org", "team@example.org loops sales@example.org"},
		{"says whose tag it takes", "bob+x@example.org", "alice@example.org", "takes the tag of bob@example.org"},
		{"says that of an alias's tag too", "sales+x@example.org", "alice@example.org", "takes the tag of sales@example.org"},
		{"says nothing of a tag of nobody", "nobody+x@example.org", "alice@example.org", ""},
		{"finds nothing wrong with the alias of a role", "abuse@example.org", "alice@example.org", ""},
		{"finds nothing wrong with a catch-all", "@example.org", "alice@example.org", ""},
		{"says if a catch-all catches its own target", "@example.org", "nobody@example.org", "nobody@example.org returns, nowhere"},
	} {
		t.Run(test.it, func(t *testing.T) {
			alias := store.Alias{Source: mail.Address{Domain: strings.TrimPrefix(test.source, "@")}}
			if !strings.HasPrefix(test.source, "@") {
				alias.Source = address(t, test.source)
			}
			for target := range strings.FieldsSeq(test.targets) {
				alias.Targets = append(alias.Targets, address(t, target))
			}
			got, err := f.InspectAliases(t.Context(), []store.Alias{alias})
			if err != nil {
				t.Fatal(err)
			}
			if text := problemsText(got[0]); text != test.want {
				t.Errorf("got %q, want %q", text, test.want)
			}
		})
	}
	for _, test := range []struct{ it, account, targets, want string }{
		{"finds nothing wrong with a forward", "alice@example.org", "x@far.test", ""},
		{"says if it leads to nobody", "alice@example.org", "nobody@example.org", "nobody@example.org unknown, nowhere"},
		{"says if it leads to itself", "alice@example.org", "alice+x@example.org", "alice+x@example.org loops, nowhere"},
		{"says if it comes back by an alias", "alice@example.org", "team@example.org", "team@example.org loops alice+team@example.org"},
	} {
		t.Run(test.it, func(t *testing.T) {
			forward := store.Forward{}
			for target := range strings.FieldsSeq(test.targets) {
				forward.Targets = append(forward.Targets, address(t, target))
			}
			got, err := f.InspectForward(t.Context(), address(t, test.account), forward)
			if err != nil {
				t.Fatal(err)
			}
			if text := problemsText(got); text != test.want {
				t.Errorf("got %q, want %q", text, test.want)
			}
		})
	}
}

func TestChangeAlias(t *testing.T) {
	f := newDirectory(t)
	fillDirectory(t, f)
	ctx, sales := t.Context(), address(t, "Sales@example.org")
	before, err := f.ChangeAlias(ctx, sales, []mail.Address{address(t, "x@far.test")})
	if err != nil || fmt.Sprint(before.Targets) != "[bob@example.org carol@example.org ext@elsewhere.example]" || before.Source.Local != "sales" {
		t.Errorf("it was %+v, %v", before, err)
	}
	if got := f.says(f.Resolve(ctx, sales)); got != "remote x@far.test" {
		t.Errorf("it leads to %q", got)
	}
	if _, err := f.ChangeAlias(ctx, sales, []mail.Address{address(t, "team@example.org")}); !errors.Is(err, store.ErrLoop) {
		t.Errorf("a loop: %v", err)
	}
	if got := f.says(f.Resolve(ctx, sales)); got != "remote x@far.test" {
		t.Errorf("after a failure it leads to %q", got)
	}
	if _, err := f.ChangeAlias(ctx, address(t, "bob@example.org"), []mail.Address{sales}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("no alias: %v", err)
	}
	aliases, err := f.Aliases(ctx)
	if err != nil || slices.IndexFunc(aliases, func(a store.Alias) bool { return a.Source.Local == "sales" && len(a.Targets) == 1 }) < 0 {
		t.Errorf("the list is %+v, %v", aliases, err)
	}
}
