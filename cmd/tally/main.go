// Command tally is a ledger for usage-based billing. See `tally help`.
package main

import (
	"os"
	"time"

	"golang.org/x/term"

	"tallystick/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], cli.Env{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv, Clock: time.Now,
		Terminal: term.IsTerminal(int(os.Stderr.Fd())),
	}))
}
