//go:build e2e

package e2e_test

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// browser is a tab of a Chromium.
type browser struct {
	t    *testing.T
	tab  context.Context
	in   []chromedp.QueryOption // where fields and buttons are; the page, if there is nothing
	seen int                    // photographs

	mu       sync.Mutex // guards the field below
	problems []string   // what the console said
}

// patience is how long a page may take.
const patience = time.Minute

// open starts Chromium.
func open(t *testing.T) *browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.WindowSize(deskWidth, screenHeight), // CI is root
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("lang", "en-US"))
	all, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	b := &browser{t: t}
	tab, end := chromedp.NewContext(all, chromedp.WithListener(b.listen))
	t.Cleanup(end)
	b.tab = tab
	if err := chromedp.Do(tab); err != nil {
		t.Fatalf("Chromium does not start; on Debian: apt-get install chromium. %v", err)
	}
	call(b, cdplog.Enable, cdp.Empty{})
	return b
}

// listen keeps what the console says of scripts and of the policy of content.
func (b *browser) listen(ev any) {
	text := ""
	switch ev := ev.(type) {
	case *cdplog.EventEntryAdded:
		if ev.Entry.Source != cdplog.EntrySourceNetwork { // that an address opens nothing is looked for where it should
			text = string(ev.Entry.Source) + ": " + ev.Entry.Text
		}
	case *runtime.EventExceptionThrown:
		text = "script: " + ev.ExceptionDetails.Text
	}
	if text != "" {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.problems = append(b.problems, text)
	}
}

// complaints returns what the console has said since it was asked last.
func (b *browser) complaints() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	said := b.problems
	b.problems = nil
	return said
}

// call sends a command of the browser's protocol.
func call[P, R any](b *browser, cmd cdp.Command[P, R], params P) R {
	b.t.Helper()
	result, err := chromedp.Call(b.tab, cmd, params)
	b.must(err)
	return result
}

// must fails the test at an error, with what the browser shows.
func (b *browser) must(err error) {
	b.t.Helper()
	if err != nil {
		b.photograph("failure")
		b.t.Fatalf("%v; at %s: %s", err, b.at(), b.text())
	}
}

func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.tab, patience)
	defer cancel()
	b.must(chromedp.Do(ctx, actions...))
}

// visit opens an address.
func (b *browser) visit(url string) {
	b.t.Helper()
	b.do(chromedp.Navigate(url))
}

// fill types into empty fields: names of fields and texts.
func (b *browser) fill(fields ...string) {
	b.t.Helper()
	for i := 0; i+1 < len(fields); i += 2 {
		b.do(chromedp.SendKeys(chromedp.CSS(fmt.Sprintf("main [name=%q]", fields[i])), fields[i+1], b.in...))
	}
}

// press clicks a button or follows a link with a text, and waits for the page that it leads to.
func (b *browser) press(text string) {
	b.t.Helper()
	b.leave(clickNamed(text))
}

// clickNamed clicks a button or a link with a text.
func clickNamed(text string) chromedp.Action[chromedp.Void] { return chromedp.Click(named(text)) }

// named finds a button or a link by its text.
func named(text string) chromedp.Search {
	return chromedp.Search(fmt.Sprintf(`//main//*[self::button or self::a][contains(normalize-space(.), %q)]`, text))
}

// leave does what leads to another page, and waits for it.
func (b *browser) leave(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.tab, patience)
	defer cancel()
	_, err := chromedp.RunResponse(ctx, actions...)
	b.must(err)
}

// at returns the address that the browser shows.
func (b *browser) at() string {
	url, _ := chromedp.Run(b.tab, chromedp.Location()) // "" if it cannot tell
	return url
}

// text returns what the page says.
func (b *browser) text() string {
	text, _ := chromedp.Run(b.tab, chromedp.Evaluate[string](`document.body ? document.body.innerText : ""`)) // "" if it cannot tell
	return text
}

// says fails the test unless the page says all texts.
func (b *browser) says(texts ...string) {
	b.t.Helper()
	said := b.text()
	for _, text := range texts {
		if !strings.Contains(said, text) {
			b.photograph("failure")
			b.t.Fatalf("%s does not say %q: %s", b.at(), text, said)
		}
	}
}

// waitFor waits until an expression of JavaScript is true, on this page or one that follows by itself.
func (b *browser) waitFor(expression string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.tab, patience)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		if ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression)); err == nil && ok {
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			b.must(fmt.Errorf("waiting for %s: %w", expression, ctx.Err()))
		}
	}
}

// evaluate returns what an expression of JavaScript comes to.
func evaluate[T any](b *browser, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.tab, chromedp.Evaluate[T](expression))
	b.must(err)
	return v
}

//go:embed audit.js
var audit string

// The screens that every page is looked at on.
const (
	deskWidth, phoneWidth, narrowWidth = 1024, 360, 320
	screenHeight                       = 740
)

// look looks the page over on a desk, on phones and in the dark, and photographs it.
func (b *browser) look(name string) {
	b.t.Helper()
	for _, screen := range []struct {
		name, scheme string
		width        int64
	}{{"desk", "light", deskWidth}, {"phone", "light", phoneWidth}, {"narrow", "dark", narrowWidth}} {
		b.screen(screen.width, screen.scheme)
		for _, wrong := range evaluate[[]string](b, audit) {
			b.t.Errorf("%s, %s: %s", name, screen.name, wrong)
		}
		b.photograph(name + "-" + screen.name)
	}
	b.screen(deskWidth, "light")
	for _, said := range b.complaints() {
		b.t.Errorf("%s: %s", name, said)
	}
}

// screen sets how wide the screen is, and whether it is light or dark.
func (b *browser) screen(width int64, scheme string) {
	b.t.Helper()
	call(b, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: screenHeight, DeviceScaleFactor: 1, Mobile: width < deskWidth,
	})
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
}

// print keeps a picture of the page as a printer shows it, in the dark too.
func (b *browser) print(name string) {
	b.t.Helper()
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Media: "print", Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}},
	})
	if ground := evaluate[string](b, `getComputedStyle(document.body).backgroundColor`); ground != "rgb(255, 255, 255)" {
		b.t.Errorf("%s is printed on %s", name, ground)
	}
	if evaluate[bool](b, `document.querySelector(".screen").checkVisibility()`) {
		b.t.Errorf("%s: buttons are printed", name)
	}
	b.photograph(name + "-printed")
	b.screen(deskWidth, "light")
}

// photograph keeps a picture of all of the page, in the directory that the environment names as PICTURES.
func (b *browser) photograph(name string) {
	b.t.Helper()
	png, err := chromedp.Run(b.tab, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Logf("no photograph of %s: %v", name, err)
		return
	}
	b.seen++
	dir := os.Getenv("PICTURES")
	if dir == "" {
		dir = b.t.ArtifactDir()
	}
	file := filepath.Join(dir, fmt.Sprintf("%s-%02d-%s.png", b.t.Name(), b.seen, name))
	if err := os.WriteFile(file, png, 0o600); err != nil {
		b.t.Error(err)
	}
}

// tabTo presses the tabulator until a thing has the focus, and fails the test if that does not show.
func (b *browser) tabTo(selector string) {
	b.t.Helper()
	const most = 60
	for range most {
		b.do(chromedp.KeyEvent(kb.Tab))
		if evaluate[bool](b, fmt.Sprintf(`document.activeElement.matches(%q)`, selector)) {
			if !evaluate[bool](b, `getComputedStyle(document.activeElement).outlineStyle !== "none"`) {
				b.t.Errorf("%s: nobody can see that %s has the focus", b.at(), selector)
			}
			return
		}
	}
	b.must(fmt.Errorf("the tabulator does not lead to %s", selector))
}

// keys types where the focus is.
func (b *browser) keys(text string) {
	b.t.Helper()
	b.do(chromedp.KeyEvent(text))
}

// typeInto goes from field to field by the tabulator, and types: names of fields and texts.
func (b *browser) typeInto(fields []string) {
	b.t.Helper()
	for i := 0; i+1 < len(fields); i += 2 {
		b.tabTo(fmt.Sprintf("[name=%s]", fields[i]))
		b.keys(fields[i+1])
	}
}

// enter presses the return key, and waits for the page that it leads to.
func (b *browser) enter() {
	b.t.Helper()
	b.leave(chromedp.KeyEvent(kb.Enter))
}
