package phrase

// What pages say of aliases.
const (
	AliasAdded   = "Mail for %s goes to %s from now on."
	AliasLost    = "Mail for it is refused as unknown from then on, unless the domain has a catch-all. It won’t reach these addresses any more:"
	CatchAllLost = "Mail for addresses of %s that don’t exist is refused from then on. It won’t reach these addresses any more:"
)
