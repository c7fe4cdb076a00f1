// Package testnet gives tests network namespaces of their own with commands and
// packet sockets in them, waits until something has happened, and checks that a
// test leaves nothing behind. Namespaces and commands are those of package
// netlab.
//
// It is for tests only: everything takes a testing.TB, fails the test where a
// test could not handle an error, and cleans up when the test ends. Nothing
// outside the namespaces made here changes.
//
// An NS may be used from any goroutine, but only the goroutine of the test may
// fail the test, as package testing requires. CheckLeaks looks at the whole
// process, so it is not for parallel tests.
//
// Start with Privileged, then New:
//
//	testnet.Privileged(t)
//	testnet.CheckLeaks(t)
//	ns := testnet.New(t)
//	ns.MustRun("ip", "tuntap", "add", "d0", "mode", "tap")
package testnet
