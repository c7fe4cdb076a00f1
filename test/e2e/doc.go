// Package e2e drives the muennet program as a user does: with the real binary,
// in network namespaces, on the real kernel. It holds tests only.
//
// The tests need root. As root they fail if anything they need is missing:
//
//	go test ./test/e2e
//
// MUENNET_E2E_SECONDS is how long bulk TCP runs (default 60).
// MUENNET_E2E_MARK_SECONDS is over how long 100,000 marks are sent (default
// 20). MUENNET_E2E_GIB is how much TCP is sent with offload (default 1).
// MUENNET_E2E_STRIDE=1 sends UDP datagrams of every size with offload.
// MUENNET_E2E_RACE=1 builds the program with the race detector.
package e2e
