package phrase

// What pages say of accounts and their passwords.
const (
	AccountReady           = "The account is ready"
	AccountReadyText       = "%s can log in with this password, and mail for it arrives from now on."
	AccountReadyNoPassword = "The account is ready: mail for it arrives from now on."
	BadQuota               = "The quota should be a size such as 500MB or 2GB, or empty for none."
)
