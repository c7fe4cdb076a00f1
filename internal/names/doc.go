// Package names holds the rules for the names of interfaces and of channels, as
// people and programs give them. Everything that takes such a name asks here,
// so that the same name is right or wrong everywhere.
//
// All functions are pure, take any text and may be called concurrently. Their
// errors say what is wrong without repeating the name.
package names
