// Command muennet_cfg adds and deletes children and their marks, as the tool of
// the kernel module does: it is `muennet cfg` under a name of its own.
//
// Where programs are files, a link to muennet of that name does the same, and
// `make install` makes one. This program is for images that hold many commands
// in one file, such as u-root's busybox mode, in which a link to a command runs
// it under the command's own name.
package main

import (
	"os"

	"github.com/muennet/muennet/internal/cli"
)

func main() { os.Exit(cli.Main(append([]string{cli.CfgName}, os.Args[1:]...))) }
