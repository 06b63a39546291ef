package web

import (
	"net/http"
	"strings"
	"testing"

	"postroom/store/admin"
)

func TestUserForwardsTheMail(t *testing.T) {
	s, b := newUserSite(t)
	set := func(do string, fields ...string) answer {
		return b.post("/me/forwarding", append([]string{"do", do}, fields...)...)
	}
	b.get("/me/forwarding").has(t, http.StatusOK, "Mail stays in the maildrop", `name="keep" value="yes" checked`)
	set("save", "targets", " ").has(t, http.StatusUnprocessableEntity, "Give at least one address")
	set("save", "targets", "una at home").has(t, http.StatusUnprocessableEntity, "is not a mail address", "una at home</textarea>")
	set("save", "targets", user).has(t, http.StatusUnprocessableEntity, "lead back to "+user+" itself")
	set("save", "targets", "nobody@example.org\nuna@home.example", "keep", "yes").has(t, http.StatusUnprocessableEntity,
		"Nothing has been saved yet", "Nobody has the address nobody@example.org", `value="anyway"`, "una@home.example</textarea>")
	if f, err := s.admin.Forward(t.Context(), user); err != nil || len(f.Targets) != 0 {
		t.Errorf("a doubtful forward is there: %+v, %v", f, err)
	}
	b.follow(set("anyway", "targets", "nobody@example.org\nuna@home.example", "keep", "yes")).has(t, http.StatusOK,
		"and a copy is kept", "Nobody has the address nobody@example.org")
	b.follow(set("save", "targets", "una@home.example")).has(t, http.StatusOK, "No copy is kept here", "Forward no more")
	s.signedIn().get(accountURL(user)).has(t, http.StatusOK, "una@home.example", "No copy is kept here")
	b.follow(set("stop", "targets", "una@home.example")).has(t, http.StatusOK, "Mail isn’t forwarded any more", "Mail stays in the maildrop")
}

func TestUserWritesAVacationNotice(t *testing.T) {
	s, b := newUserSite(t)
	set := func(do string, fields ...string) answer {
		return b.post("/me/vacation", append([]string{"do", do}, fields...)...)
	}
	b.get("/me/vacation").has(t, http.StatusOK, `<span class="badge quiet">off</span>`, "Turn the notice on")
	set("on", "subject", "Away").has(t, http.StatusUnprocessableEntity, "needs a text", `value="Away"`)
	set("on", "text", "Back <soon>", "until", "2001-01-01").has(t, http.StatusUnprocessableEntity, "passed already", "Back &lt;soon&gt;</textarea>", `value="2001-01-01"`)
	b.follow(set("on", "subject", "Away", "text", "Back <soon>")).has(t, http.StatusOK,
		"The vacation notice is on", `<span class="badge good">on</span>`, "Back &lt;soon&gt;</textarea>", "Turn it off")
	if v, err := s.admin.Vacation(t.Context(), user); err != nil || v.State != "answers" || v.Text != "Back <soon>" {
		t.Errorf("there is %+v, %v", v, err)
	}
	b.follow(set("on", "text", "x", "from", "2999-01-02")).has(t, http.StatusOK, "answers from 2999-01-02 on", "waits for its first day")
	b.follow(set("off")).has(t, http.StatusOK, "The vacation notice is off", `<span class="badge quiet">off</span>`, "x</textarea>")
}

func TestAdministratorSetsWhatIsPersonal(t *testing.T) {
	s, _ := newUserSite(t)
	b, page := s.signedIn(), accountURL(user)
	b.post(page+"/forward", "do", "save", "targets", user).has(t, http.StatusUnprocessableEntity, "lead back to", `id="forwarding"`)
	b.follow(b.post(page+"/forward", "do", "save", "targets", "x@far.example")).has(t, http.StatusOK, "x@far.example")
	b.post(page+"/vacation", "do", "on").has(t, http.StatusUnprocessableEntity, "needs a text")
	b.follow(b.post(page+"/vacation", "do", "on", "text", "Away.")).has(t, http.StatusOK, "Away.</textarea>", `<span class="badge good">on</span>`)
	b.post(page+"/senders", "sender", "x@far.example").has(t, http.StatusNotFound, "no domain far.example", `value="x@far.example"`)
	b.follow(b.post(page+"/senders", "sender", "@Example.org")).has(t, http.StatusOK, "may send as @example.org from now on")
	b.post(page+"/senders", "sender", "@example.org").has(t, http.StatusConflict, "may send as @example.org already")
	b.follow(b.post(page+"/senders/remove", "sender", "@example.org")).has(t, http.StatusOK, "may not send as @example.org any more")
	b.post(page+"/senders/remove", "sender", "@example.org").has(t, http.StatusNotFound, "was not let send")
	for _, path := range []string{"/forward", "/vacation", "/senders"} {
		b.post("/accounts/nobody@example.org"+path, "do", "on", "targets", "x@far.example", "text", "x", "sender", "x@example.org").has(t, http.StatusNotFound)
	}
	b.follow(b.post(accountURL(boss)+"/forward", "do", "save", "targets", user)).has(t, http.StatusOK, "forward")
	b.get(page+"/remove").has(t, http.StatusOK, "Mail for it isn’t sent on any more", "x@far.example", "it stays with them then: "+boss+".")
	b.get("/accounts/selected?do=remove&account="+user).has(t, http.StatusOK, "it stays with them then: "+boss+".")
}

func TestAliasesAreChecked(t *testing.T) {
	s := newSite(t)
	b := s.signedIn()
	s.account(admin.NewAccount{Address: "zoe@example.org"})
	doubtful := []string{"source", "info@example.org", "targets", "zoe@example.org\nnobody@example.org"}
	b.post("/aliases", doubtful...).has(t, http.StatusUnprocessableEntity, "Nothing has been saved yet", "Nobody has the address nobody@example.org", `value="info@example.org"`, `value="anyway"`)
	if list, err := s.admin.Aliases(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("a doubtful alias is there: %+v, %v", list, err)
	}
	b.follow(b.post("/aliases", append(doubtful, "do", "anyway")...)).has(t, http.StatusOK, "Nobody has the address nobody@example.org", `<span class="badge warn">look</span>`)
	change := aliasURL("info@example.org") + "/change"
	b.get(change).has(t, http.StatusOK, "Nobody has the address nobody@example.org", "zoe@example.org\nnobody@example.org</textarea>")
	b.post(change, "targets", "info@example.org").has(t, http.StatusUnprocessableEntity, "would lead back to itself", "info@example.org</textarea>")
	b.post(change, "targets", "nobody@example.org").has(t, http.StatusUnprocessableEntity, "None of its targets takes mail", `value="anyway"`)
	done := b.follow(b.post(change, "targets", "zoe@example.org"))
	done.has(t, http.StatusOK, "Mail for info@example.org goes to zoe@example.org")
	if strings.Contains(done.body, "badge warn") {
		t.Error("the list still warns")
	}
	b.get("/aliases/gone@example.org/change").has(t, http.StatusNotFound)
	b.post("/aliases/gone@example.org/change", "targets", "zoe@example.org").has(t, http.StatusNotFound, "This alias is gone")
}
