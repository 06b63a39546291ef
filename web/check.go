package web

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"postroom/store"
	"postroom/store/admin"
	"postroom/web/phrase"
)

// Bounds of what is to be checked, in octets: a message, and how much of it is
// given back in the form.
const (
	maxUpload   = 1 << 20
	maxGivenOut = 20 << 10
)

type checkPage struct {
	Form    checkForm
	Result  *checkResult
	Mistake string
	Wrong   string // what the mistake is about: a value of the field "do"
}

// A checkForm is a mail that might come, as it was typed.
type checkForm struct{ IP, Helo, From, Domain, Message string }

// A checkResult is what the checks think of it.
type checkResult struct {
	Verdict, Tone string
	Marked        bool // as spam
	Reply         string
	Checks        []checkRow
	Results       string // the field Authentication-Results
	Explained     []string
}

func (p *pages) showCheck(v *visit) error {
	query := v.r.URL.Query()
	return v.show("check", "Check a mail", checkPage{Form: checkForm{
		IP: query.Get("ip"), Helo: query.Get("helo"), From: query.Get("from"), Domain: query.Get("domain"),
	}})
}

// A question is one of the form's buttons.
type question struct {
	ask   func(context.Context, admin.CheckRequest) (admin.CheckReport, error)
	judge func(admin.CheckReport) (verdict, tone string)
}

func (p *pages) questions() map[string]question {
	return map[string]question{
		"message": {p.Admin.CheckMessage, messageVerdict},
		"spf":     {p.Admin.CheckSPF, partVerdict},
		"dkim":    {p.Admin.CheckDKIM, partVerdict},
		"dmarc":   {p.Admin.CheckDMARC, partVerdict},
	}
}

// check asks the live checks. The answer comes with the form, so that one thing
// can be changed and asked again.
func (p *pages) check(v *visit) error {
	request, err := v.checkRequest()
	if err != nil {
		return err
	}
	do := v.field("do")
	q, known := p.questions()[do]
	if !known {
		return errNoPage
	}
	page := checkPage{Wrong: do, Form: checkForm{
		IP: v.field("ip"), Helo: v.field("helo"), From: v.field("from"), Domain: v.field("domain"), Message: givenBack(request.Message),
	}}
	report, err := q.ask(v.r.Context(), request)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		err = errNoChecks
	case err != nil && !hasMistake(err):
		return err
	case err == nil:
		page.Result = checkResultOf(report, q)
	}
	return v.showForm("check", "Check a mail", &page, &page.Mistake, err)
}

var errNoChecks = &admin.Error{Kind: admin.Invalid, Text: phrase.NoChecksHere}

// checkRequest reads the form; a file that was chosen counts before what was typed.
func (v *visit) checkRequest() (admin.CheckRequest, error) {
	if err := v.form(); err != nil {
		return admin.CheckRequest{}, err
	}
	r := admin.CheckRequest{
		IP: v.field("ip"), Helo: v.field("helo"), From: v.field("from"), Domain: v.field("domain"), Message: []byte(v.field("message")),
	}
	file, err := v.upload("file")
	if len(file) > 0 {
		r.Message = file
	}
	return r, err
}

// upload returns the content of a file that was chosen in a form, nil if none was.
func (v *visit) upload(name string) ([]byte, error) {
	if v.r.MultipartForm == nil || len(v.r.MultipartForm.File[name]) == 0 {
		return nil, nil
	}
	file, err := v.r.MultipartForm.File[name][0].Open()
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(file)
	return content, errors.Join(err, file.Close())
}

// givenBack is the message as the form shows it again: none if it is long.
func givenBack(message []byte) string {
	if len(message) > maxGivenOut {
		return ""
	}
	return strings.ToValidUTF8(string(message), "\uFFFD")
}

// isUpload reports whether a request is a form with files.
func isUpload(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data")
}

func checkResultOf(report admin.CheckReport, q question) *checkResult {
	result := &checkResult{
		Marked: report.Spam, Reply: report.Reply, Checks: checkRowsOf(report.Checks), Results: report.Results, Explained: report.Explained,
	}
	result.Verdict, result.Tone = q.judge(report)
	return result
}

// messageVerdict says what would become of a whole mail.
func messageVerdict(r admin.CheckReport) (verdict, tone string) {
	switch {
	case r.Taken && r.Spam:
		return phrase.WouldBeMarked, "warn"
	case r.Taken:
		return phrase.WouldBeTaken, "good"
	case strings.HasPrefix(r.Reply, "4"):
		return phrase.WouldBePutOff, "warn"
	}
	return phrase.WouldBeRefused, "bad"
}

// partVerdict says what one check alone thinks.
func partVerdict(r admin.CheckReport) (verdict, tone string) {
	unsure := func(c store.CheckResult) bool { return strings.HasSuffix(c.Result, "error") }
	switch {
	case r.Taken:
		return phrase.CheckAgrees, "good"
	case slices.ContainsFunc(r.Checks, unsure):
		return phrase.CheckUnsure, "warn"
	}
	return phrase.CheckObjects, "bad"
}
