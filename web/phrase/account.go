package phrase

import "fmt"

// What pages say of accounts and their passwords.
const (
	AccountReady           = "The account is ready"
	AccountReadyNoPassword = "The account is ready: mail for it arrives from now on."
	BadQuota               = "The quota should be a size such as 500MB or 2GB, or empty for none."
	PasswordSet            = "The new password is set"
	PasswordSetAsTyped     = "The new password is set."
	OwnAccountStays        = "You are signed in with this account, so you can’t disable or remove it. Another administrator can."
	AliasesLeadNowhere     = "These aliases lead to it and will lead nowhere; change or remove them too:"
)

// AccountReadyText says what a new account's password is good for.
func AccountReadyText(address string) string {
	return address + " can log in with this password, and mail for it arrives from now on."
}

// AccountChanged says that an account was changed.
func AccountChanged(address string) string { return address + " was changed." }

// AccountDisabled says what an account can’t do any more.
func AccountDisabled(address string) string {
	return address + " is disabled: it can’t log in or send, and its mail in the queue is held."
}

// AccountEnabled says that an account can do everything again.
func AccountEnabled(address string) string { return address + " is enabled again." }

// PasswordUse says what a new password is good for.
func PasswordUse(address string) string {
	return fmt.Sprintf("%s logs in with it from now on; the old one doesn’t work any more.", address)
}
