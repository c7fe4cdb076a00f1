// Package confine starts programs as on a system that lacks something: system
// calls, requests of ioctl(2), network namespaces, /proc or capabilities.
//
// It is for tests only, and for programs that they start: nothing of the test's
// own process is confined. The program is started by way of the test's binary,
// which confines itself and then executes the program in its place, under the
// same process id. So a test that imports this package must not do anything of
// note when its packages are initialized.
//
// It needs root. Start with a Spec:
//
//	cmd := exec.Command(program, "run", "name=net0")
//	confine.Spec{Refuse: []confine.Refusal{{Call: unix.SYS_BPF, Errno: unix.EPERM}}}.Apply(cmd)
package confine
