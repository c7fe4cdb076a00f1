// Package names holds the rules for the names of interfaces and channels. All
// code that accepts such names uses it, so that a name is valid everywhere or
// nowhere.
//
// All functions are pure, accept any text and may be called concurrently. Their
// errors say what is wrong without repeating the name.
package names
