package web

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"

	"postroom/store"
	"postroom/store/admin"
	"postroom/web/phrase"
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
	errNoPage      = failure{http.StatusNotFound, phrase.NoPage, phrase.NoPageNow}
	errNotAdmin    = failure{http.StatusForbidden, phrase.ForAdministrators, phrase.ForAdministratorsNow}
	errMethod      = failure{http.StatusMethodNotAllowed, phrase.MethodTitle, phrase.MethodNow}
	errCrossOrigin = failure{http.StatusForbidden, phrase.OtherSite, phrase.OtherSiteNow}
	errBadForm     = failure{http.StatusBadRequest, phrase.NoForm, phrase.NoFormNow}
	errTooLarge    = failure{http.StatusRequestEntityTooLarge, phrase.TooMuch, phrase.TooMuchNow}
	errOurs        = failure{http.StatusInternalServerError, phrase.OurFault, phrase.OurFaultNow}
)

// errGone says that what a page was about is not there any more, and what to do.
func errGone(what string) error {
	return failure{http.StatusNotFound, "This " + what + " is gone", phrase.RemovedMeanwhile}
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
