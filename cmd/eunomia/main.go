// Command eunomia is the detector and its tools. It is the only place that wires
// the packages together; each verb is one file with one row in commands.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

// version is set by the build.
var version = "dev"

func main() {
	// A reader that goes away must not end the detector: the write fails instead,
	// and the other outputs go on.
	signal.Ignore(syscall.SIGPIPE)
	os.Exit(run(systemEnv(), os.Args[1:]))
}
