// Command muennet provides Linux network interfaces over shared-memory
// channels. See `muennet help`.
package main

import (
	"os"

	"github.com/muennet/muennet/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args)) }
