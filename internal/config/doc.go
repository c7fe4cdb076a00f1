// Package config holds the configuration of interfaces and its rules. A
// configuration may come from a parameter list, a Go program or the control
// API; [Load.Validate] is the only place that decides what is allowed.
//
// The package is pure. Whether a channel exists or a name is taken is only
// known when the interface is created.
package config
