package main

import (
	"fmt"
	"net/http"
	"os"
	"os/user"
	"strings"

	"postroom/store/admin"
)

// userField is the header field in which the command line says who runs it. It is
// believed: whoever can open the control socket could as well write into the
// database.
const userField = "Postroom-User"

// signed has the journal say who asks.
func signed(operations http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		actor := admin.Actor{Name: r.Header.Get(userField), Via: admin.ViaCommand}
		operations.ServeHTTP(w, r.WithContext(admin.WithActor(r.Context(), actor)))
	})
}

// systemUser names the user of this host who runs the command: behind sudo the
// one who called it.
func systemUser() string {
	name := fmt.Sprintf("uid %d", os.Getuid())
	if u, err := user.Current(); err == nil && u.Username != "" {
		name = u.Username
	}
	if caller := os.Getenv("SUDO_USER"); caller != "" && caller != name && os.Getuid() == 0 {
		name = fmt.Sprintf("%s (as %s)", caller, name)
	}
	return strings.Map(inHeader, name)
}

// inHeader keeps what may stand in a header field.
func inHeader(r rune) rune {
	if r < ' ' || r > '~' {
		return '?'
	}
	return r
}
