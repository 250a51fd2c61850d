package cli_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/rogpeppe/go-internal/testscript"

	"tallystick/internal/cli"
)

// TestMain lets the test binary stand for the program: scripts run it as "tally".
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"tally": func() {
			os.Exit(cli.Main(os.Args[1:], cli.Env{
				In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv, Clock: time.Now,
			}))
		},
	})
}

// TestScripts runs the stories in testdata/script: each a user at the command line, with a real process for each command. Besides
// testscript's own, they know the commands
//
//	ready DIR            wait until the server on DIR answers
//	term DIR             end the server on DIR with SIGTERM
//	endpoint VAR DIR     set a variable to the NATS URL of the server on DIR
//	get VAR PATH         set a variable to a member of the JSON on standard output, such as items.0.id
//	is PATH VALUE        compare a member of the JSON on standard output
//	envsubst FILE        put in the values of variables that a file names
//	flip PATTERN [WHERE] change one byte of the one file that a pattern names: in the middle, or at that many per cent
//	hold DIR             hold the lock of a directory, as another process would
//	newer DIR            make a log one of the next format
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(env *testscript.Env) error {
			env.Setenv("GODEBUG", "")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ready": ready, "term": term, "endpoint": endpoint, "get": get, "is": is, "envsubst": envsubst, "flip": flip, "hold": hold, "newer": newer,
		},
	})
}

func ready(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: ready DIR")
	}
	path := ts.MkAbs(filepath.Join(args[0], "endpoint.json"))
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 12_000 { // two minutes at least
		if _, err := os.Stat(path); err == nil {
			return
		}
		<-tick.C
	}
	ts.Fatalf("%s did not appear", path)
}

func term(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: term DIR")
	}
	pid, err := strconv.Atoi(strings.TrimSpace(ts.ReadFile(filepath.Join(args[0], "LOCK"))))
	ts.Check(err)
	ts.Check(syscall.Kill(pid, syscall.SIGTERM))
}

func endpoint(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: endpoint VAR DIR")
	}
	var e struct{ NATS string }
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(filepath.Join(args[1], "endpoint.json"))), &e))
	ts.Setenv(args[0], e.NATS)
}

// member returns a member of the JSON on standard output.
func member(ts *testscript.TestScript, path string) string {
	var v any
	dec := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	dec.UseNumber()
	ts.Check(dec.Decode(&v))
	for name := range strings.SplitSeq(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i >= len(x) {
				ts.Fatalf("no %s in an array of %d", name, len(x))
			}
			v = x[i]
		default:
			ts.Fatalf("no %s in %v", name, v)
		}
	}
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

func get(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: get VAR PATH")
	}
	ts.Setenv(args[0], member(ts, args[1]))
}

func is(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: is PATH VALUE")
	}
	if got := member(ts, args[0]); (got == args[1]) == neg {
		ts.Fatalf("%s is %s", args[0], got)
	}
}

func envsubst(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: envsubst FILE")
	}
	text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

func flip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: flip PATTERN [PER-CENT]")
	}
	files, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(files) == 0 {
		ts.Fatalf("no file %s", args[0])
	}
	where := 50
	if len(args) > 1 {
		where, err = strconv.Atoi(args[1])
		ts.Check(err)
	}
	largest, size := "", int64(-1)
	for _, name := range files {
		st, err := os.Stat(name)
		ts.Check(err)
		if st.Size() > size {
			largest, size = name, st.Size()
		}
	}
	b, err := os.ReadFile(largest)
	ts.Check(err)
	b[len(b)*where/100] ^= 0x10
	ts.Check(os.WriteFile(largest, b, 0o600))
	ts.Logf("flipped byte %d of %s", len(b)*where/100, largest)
}

func hold(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: hold DIR")
	}
	f, err := os.OpenFile(ts.MkAbs(filepath.Join(args[0], "LOCK")), os.O_RDWR|os.O_CREATE, 0o600)
	ts.Check(err)
	ts.Check(syscall.Flock(int(f.Fd()), syscall.LOCK_EX))
	ts.Defer(func() { ts.Check(f.Close()) })
}

func newer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: newer DIR")
	}
	db, err := pebble.Open(ts.MkAbs(filepath.Join(args[0], "log")), &pebble.Options{FormatMajorVersion: pebble.FormatNewest})
	ts.Check(err)
	ts.Check(db.Set([]byte("mformat"), binary.AppendUvarint(nil, 99), pebble.Sync))
	ts.Check(db.Close())
}
