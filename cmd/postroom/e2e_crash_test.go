package main

import (
	"strings"
	"testing"

	"postroom/cmd/postroom/bench"
)

// TestNothingAnswered250IsLostInACrash runs a few rounds of what "postroom bench
// crash" does; each kind of moment to kill at comes up.
func TestNothingAnswered250IsLostInACrash(t *testing.T) {
	var said strings.Builder
	err := bench.Crash{Program: postroom(t), Dir: t.TempDir(), Rounds: 6, Senders: 20}.Run(t.Context(), &said)
	if err != nil {
		t.Error(err)
	}
	t.Log(said.String())
}
