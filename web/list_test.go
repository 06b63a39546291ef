package web

import (
	"fmt"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"postroom/store/admin"
)

// inOrder reports whether a page has some texts one behind the other.
func (a answer) inOrder(texts ...string) bool {
	last := -1
	for _, text := range texts {
		at := strings.Index(a.body, text)
		if at <= last {
			return false
		}
		last = at
	}
	return true
}

func TestListsAreSorted(t *testing.T) {
	s := newSite(t)
	for i := range 60 {
		s.account(admin.NewAccount{Address: fmt.Sprintf("user%02d@example.org", i), Name: fmt.Sprintf("Person %d", 60-i)})
	}
	s.must(s.admin.DisableAccount(t.Context(), "user30@example.org", false))
	b := s.signedIn()
	list := b.get("/accounts")
	list.has(t, http.StatusOK, "1 to 50 of 61", `<th scope="col"><a href="/accounts?sort=address">Account</a></th>`)
	sorted := b.get("/accounts?sort=address")
	sorted.has(t, http.StatusOK, `<th scope="col" aria-sort="ascending"><a href="/accounts?dir=down&amp;sort=address">Account</a></th>`)
	down := b.get("/accounts?dir=down&sort=address")
	down.has(t, http.StatusOK, `aria-sort="descending"><a href="/accounts?sort=address">Account</a>`)
	if !down.inOrder("user59@example.org", "user58@example.org", "user11@example.org") {
		t.Error("the last don't come first")
	}
	next := regexp.MustCompile(`<a href="([^"]+)" rel="next">`).FindStringSubmatch(down.body)
	if next == nil {
		t.Fatal("there is no next page")
	}
	b.get(html.UnescapeString(next[1])).has(t, http.StatusOK, "51 to 61 of 61", "user00@example.org", `aria-sort="descending"`)
	b.get("/accounts?status=disabled").has(t, http.StatusOK, "user30@example.org", `<option value="disabled" selected>`)
	b.get("/accounts?status=unused&q=user5").has(t, http.StatusOK, "1 to 10 of 10 that contain")
	b.get("/accounts?status=full").has(t, http.StatusOK, "There is nothing of that.", "Show all 61")
	b.get("/accounts?page=999").has(t, http.StatusOK, "51 to 61 of 61")
	for _, path := range []string{"/accounts?sort=%27%3B--", "/aliases?sort=created&dir=up", "/domains?sort=accounts", "/lists?sort=until", "/domains?page=-4", "/lists?page=x"} {
		b.get(path).has(t, http.StatusOK)
	}
}
