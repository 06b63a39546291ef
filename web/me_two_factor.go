package web

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/boombuler/barcode/qr"

	"postroom/store"
	"postroom/store/admin"
	"postroom/store/auth"
	"postroom/web/phrase"
)

// A myTwoFactorPage turns one's second factor on and off. It shows a key until a
// code of it was seen, and recovery codes once.
type myTwoFactorPage struct {
	On       bool
	Since    time.Time
	Left     string // how many recovery codes are left
	Key      *admin.TOTPKey
	Code     *qrCode
	Recovery []string
	Mistake  string
}

// Typed writes the key in groups, as it is easily typed.
func (p myTwoFactorPage) Typed() string {
	var b strings.Builder
	for i, r := range p.Key.Text {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}

func (p *pages) showMyTwoFactor(v *visit) error { return p.myTwoFactorPage(v, nil, nil) }

func (p *pages) myTwoFactorPage(v *visit, recovery []string, mistake error) error {
	ctx, address := v.r.Context(), v.user.Address.String()
	state, err := p.Admin.TwoFactor(ctx, address)
	if err != nil {
		return err
	}
	page := myTwoFactorPage{On: state.On, Since: state.Since, Left: phrase.LeftCodes(state.RecoveryCodes), Recovery: recovery}
	if !state.On {
		key, err := p.Admin.NewTOTPKey(ctx, address, p.Hostname)
		switch {
		case errors.Is(err, store.ErrNotFound): // not begun, or too long ago
		case err != nil:
			return err
		default:
			page.Key = &key
			if page.Code, err = newQRCode(key.URL); err != nil {
				return err
			}
		}
	}
	return v.showForm("me_two_factor", "Second factor", &page, &page.Mistake, mistake)
}

// changeMyTwoFactor does the step that the form's button names.
func (p *pages) changeMyTwoFactor(v *visit) error {
	if err := v.form(); err != nil {
		return err
	}
	ctx, address := v.r.Context(), v.user.Address.String()
	var recovery []string
	var err error
	switch v.field("do") {
	case "begin":
		err = p.Admin.BeginTwoFactor(ctx, address)
	case "confirm":
		recovery, err = p.Admin.ConfirmTwoFactor(ctx, address, v.field("code"), v.thisSession())
	case "codes":
		if err = p.ownCode(v); err == nil {
			recovery, err = p.Admin.RenewRecoveryCodes(ctx, address)
		}
	case "off":
		if err = p.ownCode(v); err == nil {
			err = p.Admin.TurnTwoFactorOff(ctx, address)
		}
	default:
		return errBadForm
	}
	switch {
	case hasMistake(err):
		return p.myTwoFactorPage(v, nil, err)
	case err != nil:
		return err
	case recovery != nil:
		return p.myTwoFactorPage(v, recovery, nil)
	case v.field("do") == "off":
		return v.done("/me/two-factor", phrase.PasswordOnly)
	}
	return v.done("/me/two-factor", "")
}

// ownCode takes the code that a change of the second factor itself needs.
func (p *pages) ownCode(v *visit) error {
	err := v.secondStep(*v.user)
	if text, _ := refusedCode(err); text != "" {
		kind := admin.Invalid
		if errors.Is(err, auth.ErrBusy) {
			kind = admin.Busy
		}
		return &admin.Error{Kind: kind, Text: text}
	}
	return err
}

// A qrCode is drawn in squares of one unit.
type qrCode struct {
	Size int
	Path string // of the dark squares, for SVG
}

// newQRCode returns the code of a text, with the quiet zone that readers need.
func newQRCode(text string) (*qrCode, error) {
	const quiet = 4
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return nil, fmt.Errorf("make QR code: %w", err)
	}
	bounds := code.Bounds()
	var path strings.Builder
	for y := range bounds.Dy() {
		for x := range bounds.Dx() {
			if r, _, _, _ := code.At(x, y).RGBA(); r == 0 {
				fmt.Fprintf(&path, "M%d %dh1v1h-1z", x+quiet, y+quiet)
			}
		}
	}
	return &qrCode{Size: bounds.Dx() + 2*quiet, Path: path.String()}, nil
}
