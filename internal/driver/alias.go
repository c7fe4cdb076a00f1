package driver

import (
	"crypto/sha256"
	"fmt"
	"strings"
)

// The link alias of each of our interfaces begins with one of these.
const (
	parentPrefix = "muennet in="
	childPrefix  = "muennet child="
)

// maxAlias is the longest alias in bytes that the kernel takes: IFALIASZ of
// include/uapi/linux/if.h, less the NUL.
const maxAlias = 255

// aliasOf returns the alias of an interface, which names its channels.
func aliasOf(i Interface) string {
	return fitAlias(parentPrefix + i.In + " out=" + i.Out)
}

// childAlias returns the alias of a child that is added by that name.
func childAlias(p *parent, name string) string {
	return fitAlias(fmt.Sprintf("%s%s of in=%s out=%s", childPrefix, name, p.cfg.In, p.cfg.Out))
}

// isAlias reports whether an alias is one of ours.
func isAlias(alias string) bool {
	return strings.HasPrefix(alias, parentPrefix) || strings.HasPrefix(alias, childPrefix)
}

// fitAlias shortens an alias that is too long, to one that is still unique.
func fitAlias(alias string) string {
	if len(alias) <= maxAlias {
		return alias
	}
	hash := fmt.Sprintf("#%x", sha256.Sum256([]byte(alias)))
	return alias[:maxAlias-len(hash)] + hash
}
