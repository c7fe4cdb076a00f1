// Package config holds what can be configured of interfaces, and the rules for
// it. A configuration may come from a parameter list, a Go program or the control
// API: [Load.Validate] is the one place that says what is allowed.
//
// The package is pure. Whether a channel exists, or a name is taken, turns out
// when the interface is made.
package config
