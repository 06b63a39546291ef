package policy

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"postroom/store/mail"
)

var refused = mail.Status{Code: 550, Enhanced: [3]int{5, 7, 1}, Text: "no"}

// says is a check that gives an answer and counts how often it is asked.
func says(name string, v Verdict, err error, asked *int) Check[string] {
	return Check[string]{name, func(context.Context, Client, string) (Verdict, error) {
		*asked++
		return v, err
	}}
}

func TestChain(t *testing.T) {
	trouble := errors.New("no answer")
	asked := 0
	pass := says("first", Verdict{Results: []string{"a"}, Delay: time.Second}, nil, &asked)
	tests := []struct {
		name  string
		chain Chain[string]
		want  Verdict
		err   error
		asked int
	}{
		{"passes without checks", nil, Verdict{}, nil, 0},
		{
			"gathers what checks found out",
			Chain[string]{pass, says("second", Verdict{Results: []string{"b"}, Delay: time.Minute, Authentic: true}, nil, &asked), pass},
			Verdict{Results: []string{"a", "b", "a"}, Delay: time.Minute, Authentic: true},
			nil, 3,
		},
		{
			"stops at the first objection and names its check",
			Chain[string]{pass, says("second", Object(refused, "listed"), nil, &asked), pass},
			Verdict{Answer: refused, Reason: "listed", Check: "second", Results: []string{"a"}, Delay: time.Second},
			nil, 2,
		},
		{
			"stops at a check that couldn't tell",
			Chain[string]{says("dns", Verdict{}, trouble, &asked), pass},
			Verdict{Check: "dns"},
			trouble, 1,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			asked = 0
			got, err := tt.chain.Judge(t.Context(), Client{}, "step")
			if diff := cmp.Diff(tt.want, got); diff != "" || !errors.Is(err, tt.err) || asked != tt.asked {
				t.Errorf("error %v, %d checks asked, verdict:\n%s", err, asked, diff)
			}
			if got.Pass() != (tt.want.Answer == mail.Status{}) {
				t.Error("Pass is wrong")
			}
		})
	}
}
