// Package api holds the requests and responses of the control API: JSON over
// HTTP on a unix socket, by which programs and the command line talk to a
// running muennet.
//
//	GET    /v1/version                    Version
//	GET    /v1/interfaces                 []Interface, in order of creation
//	GET    /v1/interfaces/{name}          Interface
//	POST   /v1/interfaces                 LoadRequest -> LoadResponse
//	DELETE /v1/interfaces                 removes all; muennet keeps running
//	DELETE /v1/interfaces?name=a&name=b   removes these, or none of them
//	DELETE /v1/interfaces/{name}          removes one
//	POST   /v1/children                   AddChildRequest
//	DELETE /v1/children/{child}           its marks are the parent's again
//	POST   /v1/children/{child}/marks     AddMarkRequest
//	DELETE /v1/children/{child}/marks/{mark}
//	POST   /v1/shutdown                   ShutdownRequest; removes all and ends muennet
//
// A failure answers with a status code and an Error:
//
//	400  the request or its parameters are wrong
//	403  the caller may look, but not change anything, or not load what it names
//	404  no such interface or path, or the child does not hold the mark
//	405  the path exists, the method does not
//	409  the request is right, but not as things are: an interface cannot be made, a mark is
//	     held already, a child is named where none is wanted, or ShutdownRequest.Idle was set
//	     and there are interfaces
//	413  the body is longer than MaxBody
//	500  the kernel refused something that should have worked
//	503  muennet is ending
//
// Error.Code tells programs more; the Err variables of this package stand for the
// codes.
//
// Who may change something is decided by the credentials the kernel keeps for
// the connection: uid 0, the uid muennet runs as, and members of its control
// group. Those load channels by plain name in the directory muennet was started
// with; paths, windows, PCI devices and force=1 are for the other two. All who can
// open the socket may read.
//
// A user other than uid 0 and muennet's has at most 16 connections, all such users
// have 48. One more is closed without an answer, as is one that does not take its
// answer within 10 s.
//
// Package client speaks this API. docs/api.md describes the JSON for other
// languages.
//
// # Stability
//
// The package imports the standard library only and builds on any system. What
// docs/api.md promises for /v1 holds for these types too: a field keeps its name,
// type and meaning. Fields and Err variables may be added, so use keys in composite
// literals.
package api
