package phrase

import "strings"

// What pages say of aliases.
const (
	AliasLost    = "Mail for it is refused as unknown from then on, unless the domain has a catch-all. It won’t reach these addresses any more:"
	CatchAllLost = "Mail for addresses of %s that don’t exist is refused from then on. It won’t reach these addresses any more:"
)

// AliasLeads says where mail for an alias goes.
func AliasLeads(source string, targets []string) string {
	return "Mail for " + source + " goes to " + strings.Join(targets, ", ") + " from now on."
}

// AliasRemoved says that an alias is gone.
func AliasRemoved(source string) string { return "The alias " + source + " was removed." }
