package web

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"

	"postroom/store"
	"postroom/store/admin"
)

// A failure is a page that says what went wrong and what to do now.
type failure struct {
	Code  int
	Title string
	Text  string
}

// A failurePage is a failure with the way on.
type failurePage struct {
	failure
	Home link
	List *link // the list that the page would have belonged to, nil: none
}

// Error makes a failure an error, so that a handler can return it.
func (f failure) Error() string { return fmt.Sprintf("%d %s", f.Code, f.Title) }

// The failures that have nothing to do with one page alone.
var (
	errNoPage = failure{
		http.StatusNotFound, "There is no such page",
		"The address may be mistyped, or what it showed has been removed since. The overview leads to everything that there is.",
	}
	errNotAdmin = failure{
		http.StatusForbidden, "That is for administrators",
		"You are signed in with an account that may look after itself alone. An administrator can do this for you.",
	}
	errMethod = failure{
		http.StatusMethodNotAllowed, "That can’t be done here",
		"This address doesn’t take that kind of request. Go back to the page that you came from and use its buttons.",
	}
	errCrossOrigin = failure{
		http.StatusForbidden, "That request came from another site",
		"Nothing was changed. To do it on purpose, open postroom itself and use its own buttons.",
	}
	errBadForm = failure{
		http.StatusBadRequest, "That is not a form",
		"What was sent here can’t be read. Nothing was changed. Go back to the page that you came from and use its buttons.",
	}
	errTooLarge = failure{
		http.StatusRequestEntityTooLarge, "That is too much at once",
		"Forms here take 64 KB, and a message to be checked 1 MB. Nothing was changed; go back and send less.",
	}
	errOurs = failure{
		http.StatusInternalServerError, "Something went wrong on our side",
		"It has been written to the server’s log. Mail goes on as before; try again in a moment, and look into the log if it stays.",
	}
)

// errGone says that what a page was about is not there any more, and what to do.
func errGone(what string) error {
	return failure{
		http.StatusNotFound, "This " + what + " is gone",
		"It has been removed since the page that you came from was made. Nothing was changed. The list shows what there is now.",
	}
}

// failureFor decides what a visitor learns of err: its kind, never its text,
// unless it was written for visitors.
func failureFor(err error) failure {
	var tooLarge *http.MaxBytesError
	if f, ok := errors.AsType[failure](err); ok {
		return f
	}
	switch {
	case errors.As(err, &tooLarge):
		return errTooLarge
	case hasMistake(err):
		text, code := mistakeOf(err)
		return failure{code, "That didn’t work", text}
	case errors.Is(err, store.ErrNotFound):
		return errNoPage
	}
	return errOurs
}

// hasMistake reports whether err is one that the person who asked can mend.
func hasMistake(err error) bool {
	_, ok := errors.AsType[*admin.Error](err)
	return ok
}

// mistakeOf returns what to tell about such an error.
func mistakeOf(err error) (text string, code int) {
	e, _ := errors.AsType[*admin.Error](err)
	switch e.Kind {
	case admin.NotFound:
		return e.Text, http.StatusNotFound
	case admin.Conflict, admin.InUse:
		return e.Text, http.StatusConflict
	case admin.Busy:
		return e.Text, http.StatusServiceUnavailable
	}
	return e.Text, http.StatusUnprocessableEntity
}

// fail answers with a page about err, nil being none. Our own faults go to the
// log.
func (p *pages) fail(v *visit, err error) {
	if err == nil || v.r.Context().Err() != nil { // nothing wrong, or nobody there to tell
		return
	}
	f := failureFor(err)
	if f.Code == http.StatusInternalServerError {
		p.Log.ErrorContext(v.r.Context(), "request failed", "method", v.r.Method, "path", v.r.URL.Path, "err", err)
	}
	p.showFailure(v, f)
}

// showFailure doesn't touch the session: the session may be what failed.
func (p *pages) showFailure(v *visit, f failure) {
	body := failurePage{failure: f, Home: v.home()}
	if v.user != nil && v.user.Admin {
		body.List = listOf(v.r.URL.Path)
	}
	page, err := p.render("failure", v.layout(f.Title, body))
	if err != nil {
		p.Log.ErrorContext(v.r.Context(), "the page about a failure failed", "err", err)
		http.Error(v.w, f.Title, f.Code)
		return
	}
	v.write(f.Code, page)
}

// listOf returns the page of the navigation that a path lies below, nil if there is
// none or it is that page itself.
func listOf(path string) *link {
	for _, group := range sections {
		for _, l := range group.Links {
			if l.Section == section(path) && l.URL != path {
				return &l
			}
		}
	}
	return nil
}

// panicked ends a request whose handler panicked.
func (p *pages) panicked(v *visit, e any) {
	if e == http.ErrAbortHandler {
		panic(e)
	}
	p.Log.ErrorContext(v.r.Context(), "request panicked", "method", v.r.Method, "path", v.r.URL.Path,
		"err", e, "stack", string(debug.Stack()))
	p.showFailure(v, errOurs)
}
