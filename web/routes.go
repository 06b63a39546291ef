package web

import (
	"errors"
	"net/http"
	"slices"
	"strings"
)

// A need says what a visitor must be to use a route. The zero need is none: a route
// that declares nothing must not be open by accident.
type need uint8

const (
	needNobody need = iota + 1 // open to everyone
	needUser                   // signed in, with an enabled account
	needAdmin                  // signed in, an enabled administrator

	// lately is added to one of the two above where harm can be done: the password
	// must have been given in the last minutes, see confirmFor.
	lately need = 1 << 7
)

// who is the need without what may be added to it.
func (n need) who() need { return n &^ lately }

// A route is one thing that can be asked for.
type route struct {
	method, path string // path is a pattern of http.ServeMux
	needs        need
	handle       handler
}

// routes is all that the server answers, besides "no such page".
func (p *pages) routes() []route {
	return []route{
		{"GET", "/login", needNobody, p.showLogin},
		{"POST", "/login", needNobody, p.signIn},
		{"GET", "/login/code", needNobody, p.showLoginCode},
		{"POST", "/login/code", needNobody, p.signInCode},
		{"POST", "/logout", needNobody, p.signOut},
		{"GET", "/assets/{name}", needNobody, p.asset},
		{"GET", "/favicon.ico", needNobody, p.favicon},

		{"GET", "/confirm-password", needUser, p.showConfirmPassword},
		{"POST", "/confirm-password", needUser, p.confirmPassword},

		{"GET", "/setup", needNobody, p.showSetup},
		{"POST", "/setup", needNobody, p.becomeAdmin},
		{"POST", "/setup/step", needAdmin, p.leaveStep},
		{"GET", "/setup/domain", needAdmin, p.showSetupDomain},
		{"POST", "/setup/domain", needAdmin, p.addSetupDomain},
		{"GET", "/setup/dns", needAdmin, p.showSetupDNS},
		{"GET", "/setup/account", needAdmin, p.showSetupAccount},
		{"POST", "/setup/account", needAdmin, p.addSetupAccount},
		{"GET", "/setup/test", needAdmin, p.showTrial},
		{"POST", "/setup/test", needAdmin, p.startTrial},
		{"POST", "/setup/test/stop", needAdmin, p.stopTrial},

		{"GET", "/me", needUser, p.showMe},
		{"GET", "/me/password", needUser | lately, p.showMyPassword},
		{"POST", "/me/password", needUser | lately, p.setMyPassword},
		{"GET", "/me/app-passwords", needUser | lately, p.showMyAppPasswords},
		{"POST", "/me/app-passwords", needUser | lately, p.addMyAppPassword},
		{"POST", "/me/app-passwords/remove", needUser | lately, p.removeMyAppPassword},
		{"GET", "/me/two-factor", needUser | lately, p.showMyTwoFactor},
		{"POST", "/me/two-factor", needUser | lately, p.changeMyTwoFactor},
		{"GET", "/me/sessions", needUser, p.showMySessions},
		{"POST", "/me/sessions", needUser, p.endMySessions},
		{"GET", "/me/logins", needUser, p.showMyLogins},
		{"GET", "/me/limits", needUser, p.showMyLimits},
		{"GET", "/me/programs", needUser, p.showOwnPrograms},
		{"POST", "/me/programs", needUser | lately, p.addOwnProgram},
		{"GET", "/me/forwarding", needUser | lately, p.showMyForwarding},
		{"POST", "/me/forwarding", needUser | lately, p.setMyForwarding},
		{"GET", "/me/vacation", needUser, p.showMyVacation},
		{"POST", "/me/vacation", needUser, p.setMyVacation},

		{"GET", "/{$}", needAdmin, p.showOverview},
		{"GET", "/concerns", needAdmin, p.showConcerns},

		{"GET", "/messages", needAdmin, p.showMessages},
		{"GET", "/messages/{id}", needAdmin, p.showMessage},
		{"GET", "/messages/{id}/sender", needAdmin, p.showSender},
		{"GET", "/queue", needAdmin, p.showQueue},
		{"POST", "/queue", needAdmin, p.changeQueue},
		{"GET", "/queue/return", needAdmin | lately, p.confirmReturn},
		{"POST", "/queue/return", needAdmin | lately, p.returnQueue},

		{"GET", "/long-work", needAdmin, p.showWorks},
		{"GET", "/long-work/{id}", needAdmin, p.showWork},
		{"POST", "/long-work/{id}/stop", needAdmin, p.stopWork},

		{"GET", "/destinations", needAdmin, p.showDestinations},
		{"POST", "/destinations", needAdmin, p.changeDestination},

		{"GET", "/routes", needAdmin, p.showRoutes},
		{"POST", "/routes", needAdmin, p.addRoute},
		{"GET", "/routes/change", needAdmin, p.showRouteChange},
		{"POST", "/routes/change", needAdmin, p.changeRoute},
		{"GET", "/routes/remove", needAdmin, p.confirmRoute},
		{"POST", "/routes/remove", needAdmin, p.removeRoute},
		{"GET", "/sources", needAdmin, p.showSources},
		{"POST", "/sources", needAdmin, p.addSource},
		{"GET", "/sources/change", needAdmin, p.showSourceChange},
		{"POST", "/sources/change", needAdmin, p.changeSource},
		{"GET", "/sources/remove", needAdmin, p.confirmSource},
		{"POST", "/sources/remove", needAdmin, p.removeSource},

		{"GET", "/domains", needAdmin, p.showDomains},
		{"POST", "/domains", needAdmin, p.addDomain},
		{"GET", "/domains/{name}", needAdmin, p.showDomain},
		{"POST", "/domains/{name}/recipients", needAdmin, p.changeRecipients},
		{"POST", "/domains/{name}/limits", needAdmin, p.setDomainLimits},
		{"GET", "/domains/{name}/dns", needAdmin, p.showDNS},
		{"GET", "/domains/{name}/dns/zone", needAdmin, p.downloadZone},
		{"GET", "/domains/{name}/dkim", needAdmin, p.confirmDKIM},
		{"POST", "/domains/{name}/dkim", needAdmin, p.rotateDKIM},
		{"GET", "/domains/{name}/dkim/remove", needAdmin | lately, p.confirmDKIMKey},
		{"POST", "/domains/{name}/dkim/remove", needAdmin | lately, p.removeDKIMKey},
		{"GET", "/domains/{name}/remove", needAdmin | lately, p.confirmDomain},
		{"POST", "/domains/{name}/remove", needAdmin | lately, p.removeDomain},

		{"GET", "/accounts", needAdmin, p.showAccounts},
		{"POST", "/accounts", needAdmin, p.addAccount},
		{"GET", "/accounts/selected", needAdmin | lately, p.confirmAccounts},
		{"POST", "/accounts/selected", needAdmin | lately, p.changeAccounts},
		{"GET", "/accounts/{address}", needAdmin, p.showAccount},
		{"POST", "/accounts/{address}/change", needAdmin | lately, p.changeAccount},
		{"POST", "/accounts/{address}/disable", needAdmin, p.disableAccount},
		{"POST", "/accounts/{address}/enable", needAdmin, p.enableAccount},
		{"POST", "/accounts/{address}/password", needAdmin | lately, p.setPassword},
		{"POST", "/accounts/{address}/app-passwords", needAdmin | lately, p.addAppPassword},
		{"POST", "/accounts/{address}/app-passwords/remove", needAdmin | lately, p.removeAppPassword},
		{"POST", "/accounts/{address}/two-factor", needAdmin | lately, p.dropTwoFactor},
		{"POST", "/accounts/{address}/sessions", needAdmin, p.endAccountSessions},
		{"GET", "/accounts/{address}/programs", needAdmin, p.showPrograms},
		{"POST", "/accounts/{address}/programs", needAdmin | lately, p.addProgram},
		{"POST", "/accounts/{address}/limits", needAdmin, p.setAccountLimits},
		{"POST", "/accounts/{address}/forward", needAdmin | lately, p.setAccountForward},
		{"POST", "/accounts/{address}/vacation", needAdmin, p.setAccountVacation},
		{"POST", "/accounts/{address}/senders", needAdmin | lately, p.addSender},
		{"POST", "/accounts/{address}/senders/remove", needAdmin, p.removeSender},
		{"GET", "/accounts/{address}/remove", needAdmin | lately, p.confirmAccount},
		{"POST", "/accounts/{address}/remove", needAdmin | lately, p.removeAccount},

		{"GET", "/aliases", needAdmin, p.showAliases},
		{"POST", "/aliases", needAdmin, p.addAlias},
		{"GET", "/aliases/{source}/change", needAdmin, p.showAliasChange},
		{"POST", "/aliases/{source}/change", needAdmin, p.changeAlias},
		{"GET", "/aliases/{source}/remove", needAdmin, p.confirmAlias},
		{"POST", "/aliases/{source}/remove", needAdmin, p.removeAlias},

		{"GET", "/devices", needAdmin, p.showDevices},
		{"POST", "/devices", needAdmin, p.addDevice},
		{"GET", "/devices/change", needAdmin, p.showDeviceChange},
		{"POST", "/devices/change", needAdmin, p.changeDevice},
		{"GET", "/devices/remove", needAdmin, p.confirmDevice},
		{"POST", "/devices/remove", needAdmin, p.removeDevice},

		{"GET", "/lists", needAdmin, p.showLists},
		{"POST", "/lists", needAdmin, p.addAccess},
		{"GET", "/lists/change", needAdmin, p.showAccessChange},
		{"POST", "/lists/change", needAdmin, p.changeAccess},
		{"GET", "/lists/remove", needAdmin, p.confirmAccess},
		{"POST", "/lists/remove", needAdmin, p.removeAccess},
		{"POST", "/lists/forgive", needAdmin, p.forgive},
		{"GET", "/limits", needAdmin, p.showLimits},
		{"POST", "/limits", needAdmin, p.setServerLimits},
		{"GET", "/check", needAdmin, p.showCheck},
		{"POST", "/check", needAdmin, p.check},
		{"GET", "/preview", needAdmin, p.showPreview},
		{"POST", "/preview", needAdmin, p.preview},
		{"GET", "/certificate", needAdmin, p.showCertificate},

		{"GET", "/journal", needAdmin, p.showJournal},
		{"GET", "/journal/{id}", needAdmin, p.showEntry},
		{"GET", "/journal/{id}/undo", needAdmin | lately, p.confirmUndo},
		{"POST", "/journal/{id}/undo", needAdmin | lately, p.undo},
	}
}

// mux answers each path of the table for the methods that it lists there. It panics
// over a route that doesn't say who may use it.
func (p *pages) mux() http.Handler {
	byPath := make(map[string]map[string]route)
	for _, r := range p.routes() {
		if r.needs.who() == 0 {
			panic("the route " + r.method + " " + r.path + " declares no need")
		}
		if byPath[r.path] == nil {
			byPath[r.path] = make(map[string]route)
		}
		byPath[r.path][r.method] = r
	}
	mux := http.NewServeMux()
	for path, methods := range byPath {
		mux.Handle(path, p.serve(methods))
	}
	p.handlePublic(mux)
	mux.Handle("/", p.serve(nil))
	return mux
}

// serve answers one path. HEAD is answered as GET: net/http drops the body.
func (p *pages) serve(methods map[string]route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		v := &visit{pages: p, w: w, r: r}
		route, ok := methods[method]
		if !ok {
			p.fail(v, p.refuse(v, methods))
			return
		}
		p.fail(v, p.visit(v, route))
	})
}

// visit lets v through to the route, if it may.
func (p *pages) visit(v *visit, route route) error {
	if err := v.load(); err != nil {
		return err
	}
	if route.needs.who() == needNobody {
		v.sign()
		return route.handle(v)
	}
	err := v.identify()
	switch {
	case errors.Is(err, errSignedOut):
		return v.toLogin()
	case err != nil:
		return err
	case route.needs.who() == needAdmin && !v.user.Admin:
		return v.stray()
	case route.needs&lately != 0 && !v.confirmed():
		return v.toConfirmation()
	}
	v.sign()
	return route.handle(v)
}

// refuse answers a path or a method that isn't in the table. Who is signed in
// gets a page with the navigation.
func (p *pages) refuse(v *visit, methods map[string]route) error {
	if err := v.load(); err != nil {
		return err
	}
	if err := v.identify(); err != nil && !errors.Is(err, errSignedOut) {
		return err
	}
	if len(methods) == 0 {
		return errNoPage
	}
	var allow []string
	for m := range methods {
		allow = append(allow, m)
	}
	slices.Sort(allow)
	v.w.Header().Set("Allow", strings.Join(allow, ", "))
	return errMethod
}
