package phrase

// What pages say of how a certificate is renewed.
const (
	RenewedByItself = "Renewed by itself."
	RenewedInFile   = "From a file: renew it there."
	SelfSignedWarns = "Self-signed: mail programs warn of it."
	ItIsRenewed     = "It is renewed by itself (ACME)."
	ItIsOfFile      = "It comes from the file %s. A new one there is taken up by itself."
	ItStandsIn      = "It is self-signed, and stands in until there is a better one."
	ItIsSelfSigned  = "It is self-signed, and renewed by itself. Mail programs warn of it: set tls.acme, or tls.cert and tls.key, for one that everybody trusts."
)
