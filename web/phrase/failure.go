package phrase

// The pages that say what went wrong: a title, and what to do now.
const (
	NoPage               = "There is no such page"
	NoPageNow            = "The address may be mistyped, or what it showed has been removed since. The overview leads to everything that there is."
	ForAdministrators    = "That is for administrators"
	ForAdministratorsNow = "You are signed in with an account that may look after itself alone. An administrator can do this for you."
	MethodTitle          = "That can’t be done here"
	MethodNow            = "This address doesn’t take that kind of request. Go back to the page that you came from and use its buttons."
	OtherSite            = "That request came from another site"
	OtherSiteNow         = "Nothing was changed. To do it on purpose, open postroom itself and use its own buttons."
	NoForm               = "That is not a form"
	NoFormNow            = "What was sent here can’t be read. Nothing was changed. Go back to the page that you came from and use its buttons."
	TooMuch              = "That is too much at once"
	TooMuchNow           = "Forms here take 64 KB, and a message to be checked 1 MB. Nothing was changed; go back and send less."
	OurFault             = "Something went wrong on our side"
	OurFaultNow          = "It has been written to the server’s log. Mail goes on as before; try again in a moment, and look into the log if it stays."
	RemovedMeanwhile     = "It has been removed since the page that you came from was made. Nothing was changed. The list shows what there is now."
)
