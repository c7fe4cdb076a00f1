// Package netlab makes hosts out of network namespaces: interfaces, addresses,
// programs that run there, and waiting until something has happened. The
// demonstration, the benchmark and, through package testnet, the tests stand on
// it. Nothing outside the namespaces made here is changed.
//
// It needs CAP_SYS_ADMIN and CAP_NET_ADMIN, and trusts the programs it runs.
//
// A Namespace may be used from any goroutine, except that Close comes last. A
// Cmd belongs to one goroutine, apart from Wait, Ended and Stop.
//
// Start with New:
//
//	ns, err := netlab.New()
//	if err != nil {
//		return err
//	}
//	defer ns.Close()
//	out, err := ns.Command("ip", "-brief", "address").Output()
package netlab
