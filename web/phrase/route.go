package phrase

// What pages say of the ways out: routes, the names of source addresses, destinations.
const (
	EncryptedFitting       = "Always if there is a password to protect (unless the server is this machine), else if offered."
	EncryptedIfOffered     = "Encrypted if the server offers it, whatever its certificate; otherwise in the clear."
	EncryptedAlways        = "Only with a certificate that is valid for the server; mail waits rather than go unprotected."
	EncryptedNever         = "In the clear, for servers whose encryption is broken. Anybody on the way can read it."
	RouteTakes             = "From now on %s %s, what waits in the queue too."
	RemoveRouteTitle       = "Remove the route of %s?"
	NextRoute              = "Such mail, what waits in the queue too, takes the next route that fits it, or goes where the MX records of its domain lead."
	RoutePasswordForgotten = "Its password is forgotten."
	RouteRemoved           = "The route was removed."
	ChangeRouteTitle       = "Change the route of %s"
	AtOnce                 = "It takes effect at once, for what waits in the queue too."
	RouteHostHelp          = "A server, with its port unless that is 25; mx for the servers that the domain’s MX records name."
	RouteChanged           = "The route was changed. It holds for what waits in the queue too."
	SourceNameTitle        = "What %s calls itself"
	SourceNameAbout        = "For mail from %s. It takes effect with the next connection."
	SourceNameHelp         = "The name should lead to the address in DNS, and the address back to the name: many servers check."
	SourceNamed            = "%s calls itself %s from the next connection on."
	SomeFailAndPaused      = "%s can’t be reached at the moment, and %s paused."
	SomeFail               = "%s can’t be reached at the moment. It is tried again by itself."
	SomePaused             = "%s %s paused. The rest is fine."
	AllReached             = "Every destination can be reached, as far as is known."
	DestinationPaused      = "Mail for %s is kept here until you resume it. What is being sent at this moment is finished."
	DestinationGoesOn      = "Mail for %s goes on."
	DestinationDue         = "%s at %s %s due now. What its server answers is shown as soon as it does."
)
