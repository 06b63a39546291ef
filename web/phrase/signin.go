package phrase

// What pages say to who signs in.
const (
	SignInDenied   = "The address or the password is wrong. App passwords don’t open this page."
	SignInBusy     = "Too many people are signing in at the moment. Try again in a few seconds."
	SignInBlocked  = "Too many sign-ins from your address have failed, so none is looked at for a while, whatever the password. Try again after %s UTC, or from another place."
	SignInListed   = "An administrator doesn’t let anybody sign in from your network."
	WrongPassword  = "That is not the password of this account. App passwords don’t count here."
	OnceMore       = "Thank you. Nothing has been changed yet: do it once more now."
	ConfirmItIsYou = "Confirm that it’s you"
	ToOwnPage      = "To your own page"
)
