package main

import (
	"testing"

	"postroom/store"
)

// TestEventTextNamesChecks: what each check said stands in the text too, not in
// JSON alone.
func TestEventTextNamesChecks(t *testing.T) {
	got := eventText(store.Event{Protocol: "ESMTP", Checks: []store.CheckResult{
		{Check: "spf", Result: "pass", Detail: "by the record"}, {Check: "dmarc", Result: "none"},
	}})
	if want := "by ESMTP checks: spf pass, dmarc none"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
