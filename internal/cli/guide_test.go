package cli_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestGuides runs the lines of the guides, and of the first steps in README, against a real process of "tally serve": the blocks marked sh in one
// shell, in order. What a block prints is compared with the block marked output behind it. A comment "visit:" is what a person does
// in a browser meanwhile.
func TestGuides(t *testing.T) {
	const begin = "../../docs/guide/README.md"
	for name, files := range map[string][]string{
		"README":           {"../../README.md"},
		"by-link":          {begin, "../../docs/guide/by-link.md"},
		"by-api":           {begin, "../../docs/guide/by-api.md"},
		"usage-to-invoice": {begin, "../../docs/guide/usage-to-invoice.md"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGuide(t)
			ran := 0
			for _, file := range files {
				ran += g.follow(file)
			}
			if ran == 0 {
				t.Errorf("there is nothing to run in %v", files)
			}
		})
	}
}

// guide is somebody who follows a guide: a directory with the program in it, a server, a shell, and a browser.
type guide struct {
	t          *testing.T
	log        *logged // what the server writes
	in         io.Writer
	out        *bufio.Reader
	complaints *bytes.Buffer
	browser    *http.Client
}

// newGuide starts a server on free ports, and a shell in which API says where it is.
func newGuide(t *testing.T) *guide {
	t.Helper()
	program, err := exec.LookPath("tally")
	must(t, err)
	dir := t.TempDir()
	must(t, os.Symlink(program, filepath.Join(dir, "tally")))
	root, err := filepath.Abs("../..")
	must(t, err)
	for _, name := range []string{"docs", "go.mod", "go.sum"} { // as in a clone
		must(t, os.Symlink(filepath.Join(root, name), filepath.Join(dir, name)))
	}
	g := &guide{t: t, log: &logged{}, complaints: &bytes.Buffer{}}
	server := exec.CommandContext(t.Context(), "./tally", "serve", "--data", "ledger", "--http-listen", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0", "--metrics-listen", "")
	server.Dir, server.Stdout, server.Stderr = dir, g.log, g.log
	server.Cancel = func() error { return server.Process.Signal(os.Interrupt) }
	must(t, server.Start())
	t.Cleanup(func() {
		if _ = server.Wait(); !server.ProcessState.Success() {
			t.Errorf("the server ended with %s: %s", server.ProcessState, g.log)
		}
	})
	api := g.await(regexp.MustCompile(`HTTP API at (http://\S+)`))

	shell := exec.CommandContext(t.Context(), "bash", "-eu", "-o", "pipefail")
	shell.Dir, shell.Env, shell.Stderr = dir, append(os.Environ(), "API="+api), g.complaints
	in, err := shell.StdinPipe()
	must(t, err)
	out, err := shell.StdoutPipe()
	must(t, err)
	must(t, shell.Start())
	t.Cleanup(func() { _ = shell.Wait() }) // cut off where a test has failed
	g.in, g.out = in, bufio.NewReader(out)
	jar, err := cookiejar.New(nil)
	must(t, err)
	g.browser = &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(g.browser.CloseIdleConnections)
	return g
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// step is what a guide asks for: lines to run, what they print, or a visit.
var step = regexp.MustCompile("(?ms)^```(sh|output)\n(.*?)^```$|^<!-- (visit): (.*?) -->$")

// follow does what a file says, and returns how many blocks it has run.
func (g *guide) follow(file string) (ran int) {
	g.t.Helper()
	text, err := os.ReadFile(file)
	must(g.t, err)
	printed := ""
	for _, m := range step.FindAllStringSubmatch(string(text), -1) {
		switch {
		case m[1] == "sh":
			printed = g.run(m[2])
			ran++
		case m[1] == "output" && printed != m[2]:
			g.t.Errorf("%s prints\n%swhere the guide says\n%s", file, printed, m[2])
		case m[3] == "visit":
			g.visit(m[4])
		}
	}
	return ran
}

// run has the shell run lines, and returns what they print.
func (g *guide) run(lines string) string {
	g.t.Helper()
	const end = "-- end of the block --"
	if _, err := fmt.Fprintf(g.in, "%s\necho '%s'\n", lines, end); err != nil {
		g.t.Fatalf("the shell has gone: %v: %s", err, g.complaints)
	}
	var b strings.Builder
	for {
		line, err := g.out.ReadString('\n')
		if err != nil {
			g.t.Fatalf("a line of this block has failed:\n%s\nit printed\n%s%s\n%s", lines, b.String(), line, g.complaints)
		}
		if before, found := strings.CutSuffix(line, end+"\n"); found {
			return b.String() + before
		}
		b.WriteString(line)
	}
}

// visit does what a person does in a browser, said in one of a few ways.
func (g *guide) visit(what string) {
	g.t.Helper()
	does, at, _ := strings.Cut(what, " at ")
	at = strings.TrimSpace(g.run(`printf '%s\n' "` + at + `"`))
	switch {
	case does == "sign up":
		g.submit(at, nil)
		confirm := g.await(regexp.MustCompile(`(http://[^\s"\\]+/authorize/[^\s"\\]+/\d+/[^\s"\\]+)`))
		g.submit(confirm, url.Values{"organization": {"Acorn Analytics"}, "person": {"Ada"}, "country": {"GB"}, "zip": {"EC1A 1BB"}})
	case strings.HasPrefix(does, "store the card "):
		g.submit(at, url.Values{"do": {"pay"}, "number": {strings.TrimPrefix(does, "store the card ")}, "month": {"12"}, "year": {"2040"}})
		g.paid(at)
	case strings.HasPrefix(does, "top up "):
		wallet := regexp.MustCompile(`name="wallet" value="([^"]+)"`).FindStringSubmatch(g.page(at))
		if wallet == nil {
			g.t.Fatalf("there is no wallet at %s", at)
		}
		checkout := g.submit(at, url.Values{"do": {"topup"}, "wallet": {wallet[1]}, "amount": {strings.TrimPrefix(does, "top up ")}})
		g.submit(checkout, url.Values{"do": {"pay"}, "number": {"4242424242424242"}, "month": {"12"}, "year": {"2040"}})
		g.paid(checkout)
	default:
		g.t.Fatalf("nobody knows how to %q", what)
	}
}

// look returns how an address answers.
func (g *guide) look(at string) (status int, body string) {
	g.t.Helper()
	resp, err := g.browser.Get(at)
	must(g.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(g.t, err)
	return resp.StatusCode, string(b)
}

// page returns what a page says.
func (g *guide) page(at string) string {
	g.t.Helper()
	status, body := g.look(at)
	if status != http.StatusOK {
		g.t.Fatalf("%s answers %d: %s", at, status, body)
	}
	return body
}

// submit fills in the form of a page and sends it. It returns where that leads to.
func (g *guide) submit(at string, form url.Values) string {
	g.t.Helper()
	token := regexp.MustCompile(`name="form" value="([^"]+)"`).FindStringSubmatch(g.page(at))
	if token == nil {
		g.t.Fatalf("%s has no form", at)
	}
	if form == nil {
		form = url.Values{}
	}
	form.Set("form", token[1])
	resp, err := g.browser.PostForm(at, form)
	must(g.t, err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusSeeOther {
		b, _ := io.ReadAll(resp.Body)
		g.t.Fatalf("the form at %s is answered with %d: %s", at, resp.StatusCode, b)
	}
	to := resp.Header.Get("Location")
	if strings.HasPrefix(to, "/") {
		here, err := url.Parse(at)
		must(g.t, err)
		to = here.Scheme + "://" + here.Host + to
	}
	return to
}

// paid looks at a checkout until it is done, which it says or sends the visitor on.
func (g *guide) paid(at string) {
	g.t.Helper()
	for range 12_000 { // two minutes at least
		if status, body := g.look(at); status == http.StatusSeeOther || strings.Contains(body, `data-status="completed"`) {
			return
		}
		pause(g.t)
	}
	g.t.Fatalf("%s is never done", at)
}

// await returns what the server has logged, as soon as it has.
func (g *guide) await(what *regexp.Regexp) string {
	g.t.Helper()
	for range 12_000 { // two minutes at least
		if m := what.FindStringSubmatch(g.log.String()); m != nil {
			return m[1]
		}
		pause(g.t)
	}
	g.t.Fatalf("the server never logs %s: %s", what, g.log)
	return ""
}

// pause lets another process go on.
func pause(t *testing.T) {
	select {
	case <-t.Context().Done():
	case <-time.After(10 * time.Millisecond):
	}
}

// logged is what a process has written so far.
type logged struct {
	mu sync.Mutex // guards the field below
	b  bytes.Buffer
}

// Write implements [io.Writer].
func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
