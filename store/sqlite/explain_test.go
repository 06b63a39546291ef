package sqlite

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"postroom/store"
)

// told puts hops into words.
func told(hops []store.Hop) string {
	var words []string
	for _, h := range hops {
		text := fmt.Sprintf("%d %s %s", h.Depth, h.Address, h.Kind)
		if h.Tagged {
			text += " tagged"
		}
		for _, to := range h.To {
			text += " " + to.Local
		}
		words = append(words, text)
	}
	return strings.Join(words, ", ")
}

func TestExplain(t *testing.T) {
	f := newDirectory(t)
	fillDirectory(t, f)
	for _, test := range []struct{ it, address, want string }{
		{"finds an account", "alice@example.org", "0 alice@example.org account alice"},
		{"puts a tag aside", "alice+shop@example.org", "0 alice+shop@example.org account tagged alice"},
		{"finds an account that takes no mail", "gone@example.org", "0 gone@example.org refuses gone"},
		{
			"follows a chain", "team@example.org",
			"0 team@example.org alias sales alice+team bob, 1 sales@example.org alias bob carol ext, 2 bob@example.org account bob, " +
				"2 carol@example.org account carol, 2 ext@elsewhere.example remote, 1 alice+team@example.org account tagged alice, 1 bob@example.org account bob",
		},
		{
			"goes through a catch-all", "viacatchall@example.org",
			"0 viacatchall@example.org alias whoever, 1 whoever@example.net catch_all dave, 2 dave@example.net account dave",
		},
		{"finds the admins of a role", "postmaster@example.org", "0 postmaster@example.org role root root2"},
		{"tells both for a role whose account refuses", "abuse@example.net", "0 abuse@example.net refuses abuse, 0 abuse@example.net role root root2"},
		{"tells what is nobody's", "nobody@example.org", "0 nobody@example.org nobody"},
		{"tells where an alias ends", "dangling@example.org", "0 dangling@example.org alias nobody, 1 nobody@example.org nobody"},
		{"doesn't know other domains", "a@elsewhere.example", "0 a@elsewhere.example remote"},
		{"holds", "any@backup.example", "0 any@backup.example backup"},
		{"takes nobody else of a list", "other@listed.example", "0 other@listed.example nobody"},
	} {
		t.Run(test.it, func(t *testing.T) {
			resolution, hops, err := f.Explain(t.Context(), address(t, test.address))
			if got := told(hops); got != test.want {
				t.Errorf("%s:\ngot  %s\nwant %s", test.address, got, test.want)
			}
			if got, want := f.says(resolution, err), f.says(f.Resolve(t.Context(), address(t, test.address))); got != want {
				t.Errorf("%s is %s, and resolved %s", test.address, got, want)
			}
		})
	}
}

func TestExplainCutsLoops(t *testing.T) {
	f := newDirectory(t)
	f.domain(t, "example.org", false)
	f.alias(t, "a@example.org", "b@example.org")
	f.alias(t, "b@example.org", "c@example.org")
	err := f.write(t.Context(), 0, func(tx *tx) error {
		_, err := tx.exec(`UPDATE alias_target SET address = 'a@example.org' WHERE address = 'c@example.org'`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	_, hops, err := f.Explain(t.Context(), address(t, "a@example.org"))
	if want := "0 a@example.org alias b, 1 b@example.org alias a, 2 a@example.org loop b"; told(hops) != want || !errors.Is(err, store.ErrNotFound) {
		t.Errorf("got %s, %v", told(hops), err)
	}
}

func TestExplainRight(t *testing.T) {
	f := newDirectory(t)
	fillDirectory(t, f)
	for _, test := range []struct{ it, account, address, want string }{
		{"knows its own", "alice@example.org", "alice@example.org", "0 alice@example.org account alice"},
		{"knows its tags", "alice@example.org", "alice+x@example.org", "0 alice+x@example.org account tagged alice"},
		{"follows an alias", "bob@example.org", "sales@example.org", "0 sales@example.org alias bob carol ext, 1 bob@example.org account bob, 1 carol@example.org account carol, 1 ext@elsewhere.example remote"},
		{"finds no right", "alice@example.org", "bob@example.org", "0 bob@example.org account bob"},
	} {
		t.Run(test.it, func(t *testing.T) {
			may, hops, err := f.ExplainRight(t.Context(), f.id(t, test.account), address(t, test.address))
			want, wantErr := f.MaySend(t.Context(), f.id(t, test.account), address(t, test.address))
			if told(hops) != test.want || may != want || err != nil || wantErr != nil {
				t.Errorf("got %t, %s, %v; MaySend says %t, %v", may, told(hops), err, want, wantErr)
			}
		})
	}
}

// What would be accepted, is; and to ask leaves nothing behind.
func TestWouldAccept(t *testing.T) {
	s, ids := openFilled(t, 2)
	s.SetAllowances(store.Allowances{Account: store.Allowance{RecipientsPerDay: 5}})
	if err := s.SetStanding(t.Context(), ids[1], store.Disabled); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		it         string
		account    store.AccountID
		recipients int
	}{
		{"takes what is within the limits", ids[0], 3},
		{"refuses what is over them", ids[0], 3},
		{"takes the rest", ids[0], 2},
		{"refuses a disabled account", ids[1], 1},
		{"refuses one that is gone", 12345, 1},
	} {
		t.Run(test.it, func(t *testing.T) {
			used := number(t, s, `SELECT COALESCE(SUM(recipients), 0) FROM sending`)
			asked := s.WouldAccept(t.Context(), submission(s, test.account, test.recipients))
			if n := number(t, s, `SELECT COALESCE(SUM(recipients), 0) FROM sending`); n != used {
				t.Errorf("to ask has counted %d recipients", n-used)
			}
			real := s.Accept(t.Context(), submission(s, test.account, test.recipients))
			if fmt.Sprint(asked) != fmt.Sprint(real) {
				t.Errorf("it would come to %v, and comes to %v", asked, real)
			}
		})
	}
	if n := number(t, s, `SELECT COUNT(*) FROM message`); n != 2 {
		t.Errorf("%d messages are kept, want 2", n)
	}
}
