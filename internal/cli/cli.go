package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"tallystick/commands"
	"tallystick/internal/server"
	"tallystick/ledger"
	"tallystick/ledger/keyring"
	"tallystick/projections/views"
)

// Env is what a command needs of the world.
type Env struct {
	In       io.Reader
	Out      io.Writer
	Err      io.Writer
	Getenv   func(string) string
	Clock    func() time.Time // real time
	Terminal bool             // whether Err is shown to a person: then there are progress bars
}

// Exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// usageError is an error in how a command was called.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error { return &usageError{fmt.Errorf(format, args...)} }

// errSilent ends a command with status 1 when what is wrong has been said already.
var errSilent = errors.New("failed")

// app is one run of the program.
type app struct {
	Env
	at      connection
	settled bool // at has what the environment says too
	json    bool
	verbose bool
	started bool // a command has been found and has begun: errors are no longer about the command line
}

// Main runs the command that args name, without the name of the program, and returns the exit status. SIGINT and
// SIGTERM end it in order; a second one ends it at once.
func Main(args []string, env Env) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		<-ctx.Done()
		stop() // the next signal has its usual effect
	}()
	out := &output{w: env.Out}
	env.Out = out
	a := &app{Env: env}
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil && out.err != nil {
		err = fmt.Errorf("writing the output: %w", out.err)
	}
	var usage *usageError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errSilent):
		return exitFailed
	case !a.started || errors.As(err, &usage):
		a.complain(err.Error(), "", "Run 'tally help' to see how it is used.")
		return exitUsage
	}
	a.complain(a.explain(err), commands.CodeOf(err), "")
	return exitFailed
}

// complain says what is wrong: in words, or with --json as an object of them.
func (a *app) complain(what string, code commands.Code, help string) {
	if !a.json {
		a.note("tally: %s\n", what)
		if help != "" {
			a.note("%s\n", help)
		}
		return
	}
	_ = writeJSON(a.Err, struct { // nobody could be told if that fails
		Error string        `json:"error"`
		Code  commands.Code `json:"code,omitempty"`
	}{what, code})
}

// output remembers the first error of writing to it, so that printing need not look at each.
type output struct {
	w   io.Writer
	err error
}

// Write implements io.Writer.
func (o *output) Write(b []byte) (int, error) {
	if o.err != nil {
		return 0, o.err
	}
	var n int
	n, o.err = o.w.Write(b)
	return n, o.err
}

// say prints a part of the answer. Main reports it if that fails.
func (a *app) say(format string, args ...any) { _, _ = fmt.Fprintf(a.Out, format, args...) }

// note prints what is no part of the answer. Nobody could be told if that fails.
func (a *app) note(format string, args ...any) { _, _ = fmt.Fprintf(a.Err, format, args...) }

// explain says what an error means for whoever sits at the command line, and what to do.
func (a *app) explain(err error) string {
	var locked *server.LockedError
	var gone *server.MissingError
	switch {
	case errors.As(err, &locked), errors.As(err, &gone):
		return err.Error() // says it all
	case errors.Is(err, ledger.ErrNewerFormat):
		return fmt.Sprintf("%s was written by a newer version of tally: use that version, or a later one. It was left as it is.\n(%v)", a.at.dir, err)
	case errors.Is(err, ledger.ErrMissing):
		return fmt.Sprintf("there is no ledger in %s: `tally serve --data %s` makes one", a.at.dir, a.at.dir)
	case errors.Is(err, ledger.ErrLocked):
		return fmt.Sprintf("%s is in use by another process: talk to it with --server, or stop it first", a.at.dir)
	case errors.Is(err, context.Canceled):
		return "interrupted"
	}
	if code := commands.CodeOf(err); code != "" {
		return "refused: " + err.Error()
	}
	if advice := a.advice(err); advice != "" {
		return wording(err) + "\n" + advice
	}
	return err.Error()
}

// advice says what to do about bytes in the directory that are not what was written, "" where err is about something else.
func (a *app) advice(err error) string {
	dir := a.at.dir
	switch {
	case a.at.server != "" || dir == "":
		return ""
	case errors.Is(err, syscall.ENOSPC):
		return "The disk is full: nothing is lost that was answered. Make room, and do it again."
	case errors.Is(err, views.ErrCorrupt), errors.Is(err, views.ErrFailed):
		return fmt.Sprintf("What is derived is damaged, the log is not: delete %[1]s/views and %[1]s/snapshots, they are made again.", dir)
	case errors.Is(err, ledger.ErrCorrupt), errors.Is(err, ledger.ErrFailed), errors.Is(err, keyring.ErrCorrupt):
		return fmt.Sprintf("Leave %[1]s as it is. Make another directory, of a backup, with what was published since:\n"+
			"  tally restore COPY --data NEW && tally restore --from-nats --data NEW --nats-dir %[1]s/nats\n"+
			"or of what was published alone, with the master key of personal data:\n"+
			"  tally restore --from-nats --data NEW --nats-dir %[1]s/nats --master-key-file %[1]s/keys/master.key", dir)
	}
	return ""
}

// wording returns the text of an error without what the store notes for itself.
func wording(err error) string {
	return strings.ReplaceAll(err.Error(), "\n<corruption detail carrier>", "")
}

const longHelp = `tally is a ledger for usage-based billing: it takes usage, moves wallet money the moment it is used,
and can prove every line of every invoice from a log that is never rewritten.

Start here:
  tally demo                           the whole system at work, in a temporary directory
  tally serve --data DIR               a server on a directory, which is made if it is not there

Commands that ask or tell the ledger something work on
  a running server      --server nats://HOST:PORT with --key, or TALLY_KEY in the environment
  a directory           --data DIR, or TALLY_DATA in the environment
A directory that a server on this machine has open is asked for through that server.

Exit status: 0 done or holds, 1 failed or does not hold, 2 wrong usage.`

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "tally",
		Short:         "A ledger for usage-based billing",
		Long:          longHelp,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRun: func(*cobra.Command, []string) {
			a.started = true
		},
	}
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	root.SetIn(a.In)
	flags := root.PersistentFlags()
	flags.StringVar(&a.at.dir, "data", "", "directory of the ledger (default $TALLY_DATA, or tally-data)")
	flags.StringVar(&a.at.server, "server", "", "URL of a running server, such as nats://127.0.0.1:4222 (default $TALLY_SERVER)")
	flags.StringVar(&a.at.key, "key", "", "API key for --server (default $TALLY_KEY)")
	flags.StringVar(&a.at.merchant, "merchant", "", "merchant to act for, such as org_01J… (default $TALLY_MERCHANT)")
	flags.StringVar(&a.at.inbox, "inbox", "", "prefix of an auditor's inboxes, as shown with the key (default $TALLY_INBOX)")
	flags.StringVar(&a.at.ca, "ca", "", "PEM file of the authorities that are trusted for --server over TLS (default $TALLY_CA, or the system's)")
	flags.StringVar(&a.at.cert, "client-cert", "", "PEM file with our certificate, for a --server that verifies clients (default $TALLY_CLIENT_CERT)")
	flags.StringVar(&a.at.certKey, "client-key", "", "PEM file with its private key (default $TALLY_CLIENT_KEY)")
	flags.StringVar(&a.at.masterKey, "master-key-file", "", "file with the key that wraps the keys of personal data (default $TALLY_MASTER_KEY_FILE, or in DIR/keys)")
	flags.BoolVar(&a.json, "json", false, "print JSON for programs")
	flags.BoolVarP(&a.verbose, "verbose", "v", false, "log what happens to standard error")
	root.AddGroup(
		&cobra.Group{ID: "run", Title: "Run it:"},
		&cobra.Group{ID: "use", Title: "Use it:"},
		&cobra.Group{ID: "ask", Title: "Ask it:"},
		&cobra.Group{ID: "audit", Title: "Audit it:"},
		&cobra.Group{ID: "keep", Title: "Keep it:"},
	)
	for group, cmds := range map[string][]*cobra.Command{
		"run":   {a.serve(), a.natsConfig(), a.demo()},
		"use":   {a.usage(), a.command(), a.query(), a.keys(), a.erase()},
		"ask":   {a.status(), a.wallet(), a.subscription(), a.invoice(), a.trialBalance(), a.events(), a.asOf()},
		"audit": {a.verify(), a.rebuild(), a.checkpoint(), a.prove(), a.checkProof(), a.project()},
		"keep":  {a.backup(), a.restore(), a.bench()},
	} {
		for _, cmd := range cmds {
			cmd.GroupID = group
			root.AddCommand(cmd)
		}
	}
	a.strict(root)
	return root
}

// strict lets the commands that cobra adds by itself fail for what they do not know: they would say so, or show help, and be content.
func (a *app) strict(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "completion":
			cmd.Args, cmd.RunE = nil, a.needsSubcommand
		case "help":
			show := cmd.Run
			cmd.Run, cmd.RunE = nil, func(cmd *cobra.Command, args []string) error {
				if _, _, err := root.Find(args); err != nil {
					return usagef("%v", err)
				}
				show(cmd, args)
				return nil
			}
		}
	}
}

// needsSubcommand is what a command does that has only others below it: with another word it is no help to show some.
func (a *app) needsSubcommand(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s has no command %q; see '%[1]s --help'", cmd.CommandPath(), args[0])
	}
	return cmd.Help()
}

// logger returns where a command logs to.
func (a *app) logger() *slog.Logger {
	if !a.verbose {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(a.Err, nil))
}
