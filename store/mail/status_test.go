package mail

import (
	"errors"
	"fmt"
	"testing"
)

func TestStatusOf(t *testing.T) {
	refused := Status{550, [3]int{5, 7, 1}, "no"}
	if got := StatusOf(fmt.Errorf("judge: %w", refused)); got != refused {
		t.Errorf("a wrapped status became %v", got)
	}
	if got := StatusOf(errors.New("secret detail")); !got.Temporary() || got.Permanent() || got.Code != 451 || got.Error() != "451 4.3.0 Local error, please try again later" {
		t.Errorf("an unknown error became %v", got)
	}
}
