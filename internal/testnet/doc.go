// Package testnet gives tests network namespaces of their own, commands and
// packet sockets in them, and a check that a test left nothing behind.
//
// It is for tests only: everything takes a testing.TB, fails the test instead
// of returning an error wherever a test could do nothing else, and cleans up
// when the test ends. Nothing outside the namespaces made here is changed.
//
// An NS may be used from any goroutine, except that failing a test is up to the
// goroutine of the test, as with testing itself. CheckLeaks looks at the whole
// process and so is not for parallel tests.
//
// Start with Privileged, then New:
//
//	testnet.Privileged(t)
//	testnet.CheckLeaks(t)
//	ns := testnet.New(t)
//	ns.MustRun("ip", "tuntap", "add", "d0", "mode", "tap")
package testnet
