package smtpd

import (
	"errors"
	"fmt"

	"postroom/store"
	"postroom/store/mail"
)

// meetDevice makes the session one of the account that the client is a device of,
// or nobody's if it is no device, or none any more. It is asked before the greeting
// and at each MAIL, so that what the admin changes counts in open sessions too. Who
// has logged in is nobody's device.
func (s *session) meetDevice() error {
	if s.loggedIn() || s.mail != nil { // within a transaction nobody becomes another
		return nil
	}
	device, account, err := s.findDevice()
	if err != nil {
		return fmt.Errorf("look for a device: %w", err)
	}
	if device.Account != 0 && device != s.device {
		s.log.Debug("client is a device", "network", device.Network.String(), "account", account.Address.String())
	}
	s.device, s.account = device, account
	if account.Disabled {
		s.account = store.Account{}
	}
	return nil
}

// findDevice returns the device that the client is, and its account; neither, if
// it is none.
func (s *session) findDevice() (store.Device, store.Account, error) {
	device, err := s.Server.Mail.DeviceOf(s.ctx, s.client)
	if err == nil {
		var account store.Account
		if account, err = s.Server.Mail.Account(s.ctx, device.Account); err == nil {
			return device, account, nil
		}
	}
	if errors.Is(err, store.ErrNotFound) {
		err = nil
	}
	return store.Device{}, store.Account{}, err
}

// loggedIn reports whether the client has given a password.
func (s *session) loggedIn() bool { return s.untrack != nil }

// isBarred reports whether the client is a device whose account is disabled. It
// may not send: as nobody's it would be taken for another server.
func (s *session) isBarred() bool { return s.device.Account != 0 && !s.submitting() }

// deviceNetwork is the network for the trace, empty if the client is no device.
func (s *session) deviceNetwork() string {
	switch network := s.device.Network; {
	case s.device.Account == 0:
		return ""
	case network.IsSingleIP():
		return network.Addr().String()
	default:
		return network.String()
	}
}

// mayNotSend is the refusal to send in the name of address.
func (s *session) mayNotSend(address string) mail.Status {
	text := "You may not send as <" + printable(address) + ">"
	if s.device.Account != 0 {
		text = "This device sends as <" + printable(s.account.Address.String()) + ">, and may not send as <" + printable(address) + ">"
	}
	return mail.Status{Code: 550, Enhanced: [3]int{5, 7, 1}, Text: text}
}
