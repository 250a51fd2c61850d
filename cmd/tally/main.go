// Command tally is a ledger for usage-based billing. See `tally help`.
package main

import (
	"os"
	"runtime"
	"time"

	"golang.org/x/term"

	"tallystick/internal/cli"
)

// fewProcs is up to how many goroutines run at a time on a machine with few processors, unless GOMAXPROCS says so.
const fewProcs = 6

func main() {
	// Compactions, the views and the garbage collector each want a processor for long. Go's scheduler lets what answers a request wait
	// behind them for many milliseconds at each of its steps; with more threads than processors the kernel shares out, and more finely.
	if n := runtime.GOMAXPROCS(0); os.Getenv("GOMAXPROCS") == "" && n < fewProcs {
		runtime.GOMAXPROCS(min(3*n, fewProcs))
	}
	os.Exit(cli.Main(os.Args[1:], cli.Env{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv, Clock: time.Now,
		Terminal: term.IsTerminal(int(os.Stderr.Fd())),
	}))
}
