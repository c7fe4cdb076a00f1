// Package api holds the requests and responses of the control API: JSON over
// HTTP on a Unix socket, through which programs and the command line control a
// running muennet.
//
//	GET    /v1/version                    Version
//	GET    /v1/interfaces                 []Interface, in order of creation
//	GET    /v1/interfaces/{name}          Interface
//	POST   /v1/interfaces                 LoadRequest -> LoadResponse
//	DELETE /v1/interfaces                 UnloadResponse or nothing; removes all
//	DELETE /v1/interfaces?name=a&name=b   removes these, or none of them
//	DELETE /v1/interfaces/{name}          removes one
//	POST   /v1/children                   AddChildRequest
//	DELETE /v1/children/{child}           its marks return to the parent
//	POST   /v1/children/{child}/marks     AddMarkRequest
//	DELETE /v1/children/{child}/marks/{mark}
//	POST   /v1/shutdown                   ShutdownRequest; removes all and stops muennet
//
// A failed request is answered with a status code and an Error:
//
//	400  the request or its parameters are invalid
//	403  the caller may only read, or may not load what it names
//	404  no such interface or path, or the child does not hold the mark
//	405  the path does not support the method
//	409  the request conflicts with the current state: an interface cannot be created, a
//	     mark is already held, a child is named where none is allowed, or
//	     ShutdownRequest.Idle is set and there are interfaces
//	413  the body is longer than MaxBody
//	500  the kernel refused something that should have worked
//	503  muennet is stopping
//
// Error.Code tells programs more; it stands for one of the Err variables of
// this package.
//
// The kernel's credentials of the connection decide who may change something:
// uid 0, the uid of muennet, and members of its control group. Group members
// load only channels given by plain name in the directory that muennet was
// started with; paths, windows, PCI devices and force=1 are for the other two.
// Everyone who can open the socket may read.
//
// Users other than uid 0 and that of muennet may have 16 connections each, and
// 48 together. Further connections are closed without an answer,
// as is one that does not read its answer within 10 s.
//
// Package client speaks this API. docs/api.md describes the JSON for other
// languages.
//
// # Stability
//
// The package imports only the standard library and builds on any system. The
// promises of docs/api.md for /v1 also hold for these types: a field keeps its
// name, type and meaning. Fields and Err variables may be added, so use keys in
// composite literals.
package api
