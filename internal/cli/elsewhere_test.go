package cli_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// limit is how long anything may take on a machine that is busy with other things.
const limit = 2 * time.Minute

// elsewhere is an operator who follows docs/nats.md: a directory with keys, certificates and the configuration that the page shows, a NATS
// server that is started with it, and processes of tally that use it.
type elsewhere struct {
	t     *testing.T
	dir   string
	page  string
	addr  string // of the NATS server, or servers with ",tls://" between them
	nats  *server.Server
	certs []nats.Option        // of a client, where the server asks for one
	procs map[string]*exec.Cmd // by the directory they serve
	logs  map[string]*logged
}

func newElsewhere(t *testing.T) *elsewhere {
	t.Helper()
	page, err := os.ReadFile("../../docs/nats.md")
	must(t, err)
	e := &elsewhere{t: t, dir: t.TempDir(), page: string(page), addr: reserve(t), procs: map[string]*exec.Cmd{}, logs: map[string]*logged{}}
	e.certify()
	if out := e.tally(e.documented("tally nats-config")...); strings.TrimSpace(out) != "keys/tally.conf" {
		t.Fatalf("nats-config prints %q", out)
	}
	conf := regexp.MustCompile("(?s)```conf\n(.*?)```").FindStringSubmatch(e.page)
	if conf == nil {
		t.Fatal("the page shows no configuration")
	}
	text := conf[1]
	for shown, here := range map[string]string{
		"0.0.0.0:4222": e.addr, `"server.pem"`: e.quoted("server.pem"), `"server-key.pem"`: e.quoted("server-key.pem"),
		`"jetstream"`: e.quoted("jetstream"), `"tally.conf"`: `"keys/tally.conf"`,
	} {
		if strings.Count(text, shown) != 1 {
			t.Fatalf("the configuration does not say %s once", shown)
		}
		text = strings.Replace(text, shown, here, 1)
	}
	must(t, os.WriteFile(filepath.Join(e.dir, "nats.conf"), []byte(text), 0o600))
	t.Cleanup(func() {
		for dir := range e.procs {
			e.end(dir)
		}
		e.away()
	})
	return e
}

// reserve returns an address at which a server of the test may come and go: its port is given to nobody else until the test ends, not even
// for the near end of a connection.
func reserve(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	must(t, err)
	t.Cleanup(func() { must(t, syscall.Close(fd)) })
	syscall.CloseOnExec(fd)
	must(t, syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)) // as the server's listener has it
	must(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	bound, err := syscall.Getsockname(fd)
	must(t, err)
	return fmt.Sprintf("127.0.0.1:%d", bound.(*syscall.SockaddrInet4).Port)
}

func (e *elsewhere) quoted(file string) string { return fmt.Sprintf("%q", filepath.Join(e.dir, file)) }

// certify makes an authority, and a server's and a client's certificate by it.
func (e *elsewhere) certify() {
	e.t.Helper()
	var issuer *x509.Certificate
	var issuing ed25519.PrivateKey
	for i, name := range []string{"ca", "server", "client"} {
		public, private, err := ed25519.GenerateKey(rand.Reader)
		must(e.t, err)
		c := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i + 1)), Subject: pkix.Name{CommonName: name}, NotAfter: time.Unix(1<<32, 0),
			IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: i == 0, BasicConstraintsValid: true,
		}
		if issuer == nil {
			issuer, issuing = c, private
		}
		cert, err := x509.CreateCertificate(rand.Reader, c, issuer, public, issuing)
		must(e.t, err)
		key, err := x509.MarshalPKCS8PrivateKey(private)
		must(e.t, err)
		for file, block := range map[string]*pem.Block{name + ".pem": {Type: "CERTIFICATE", Bytes: cert}, name + "-key.pem": {Type: "PRIVATE KEY", Bytes: key}} {
			must(e.t, os.WriteFile(filepath.Join(e.dir, file), pem.EncodeToMemory(block), 0o600))
		}
	}
}

// documented returns the arguments of the command on the page that begins so, as they are here.
func (e *elsewhere) documented(begin string) []string {
	e.t.Helper()
	for _, m := range regexp.MustCompile("(?s)```sh\n(.*?)\n```").FindAllStringSubmatch(e.page, -1) {
		if strings.HasPrefix(m[1], begin) {
			return strings.Fields(strings.ReplaceAll(strings.TrimPrefix(m[1], "tally "), "127.0.0.1:4222", e.addr))
		}
	}
	e.t.Fatalf("the page shows no command %q", begin)
	return nil
}

// come starts the NATS server.
func (e *elsewhere) come() {
	e.t.Helper()
	e.nats = e.start("nats.conf")
}

// start starts a NATS server with a configuration.
func (e *elsewhere) start(conf string) *server.Server {
	e.t.Helper()
	opts, err := server.ProcessConfigFile(filepath.Join(e.dir, conf))
	must(e.t, err)
	opts.NoSigs, opts.NoLog = true, true
	opts.TLSTimeout = limit.Seconds()
	s, err := server.NewServer(opts)
	must(e.t, err)
	s.Start()
	if !s.ReadyForConnections(limit) {
		e.t.Fatal("the NATS server did not start")
	}
	return s
}

// away stops the NATS server.
func (e *elsewhere) away() {
	if e.nats != nil {
		e.nats.Shutdown()
		e.nats.WaitForShutdown()
		e.nats = nil
	}
}

func (e *elsewhere) command(args ...string) *exec.Cmd {
	e.t.Helper()
	program, err := exec.LookPath("tally")
	must(e.t, err)
	cmd := exec.CommandContext(e.t.Context(), program, args...)
	cmd.Dir = e.dir
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	return cmd
}

// try runs a command of tally, and returns what it prints.
func (e *elsewhere) try(args ...string) (string, error) {
	e.t.Helper()
	cmd := e.command(args...)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("tally %s: %w: %s", strings.Join(args, " "), err, complaints.String())
	}
	return string(out), err
}

func (e *elsewhere) tally(args ...string) string {
	e.t.Helper()
	out, err := e.try(args...)
	must(e.t, err)
	return out
}

// serve starts tally on a directory as the page says, and waits until it says where it is.
func (e *elsewhere) serve(dir string, more ...string) {
	e.t.Helper()
	args := e.documented("tally serve")
	args[slices.Index(args, "--data")+1] = dir
	cmd := e.command(append(append(args, "--http-listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"), more...)...)
	log := &logged{}
	cmd.Stdout, cmd.Stderr = log, log
	must(e.t, cmd.Start())
	e.procs[dir], e.logs[dir] = cmd, log
	e.until("the server on "+dir, func() error {
		_, err := os.Stat(filepath.Join(e.dir, dir, "endpoint.json"))
		return err
	})
}

// answers waits until the server on a directory answers over NATS.
func (e *elsewhere) answers(dir string) {
	e.t.Helper()
	e.until("answering over NATS", func() error { _, err := e.try("status", "--data", dir); return err })
}

// end ends tally on a directory in order, and returns its exit status.
func (e *elsewhere) end(dir string) int {
	cmd := e.procs[dir]
	delete(e.procs, dir)
	_ = cmd.Process.Signal(os.Interrupt) // it has ended by itself otherwise
	_ = cmd.Wait()
	return cmd.ProcessState.ExitCode()
}

// until waits until fn returns nil.
func (e *elsewhere) until(what string, fn func() error) {
	e.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	late := time.After(limit)
	for {
		err := fn()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			for dir, log := range e.logs {
				e.t.Logf("%s: %s", dir, log)
			}
			e.t.Fatalf("%s: %v", what, err)
		}
	}
}

// endpoint is where the server on a directory is.
func (e *elsewhere) endpoint(dir, name string) string {
	e.t.Helper()
	b, err := os.ReadFile(filepath.Join(e.dir, dir, "endpoint.json"))
	must(e.t, err)
	var all map[string]string
	must(e.t, json.Unmarshal(b, &all))
	return all[name]
}

// health is what a server says of itself.
type health struct {
	Status, Error, Stream              string
	DurableSequence, PublishedSequence int
}

func (e *elsewhere) health(dir string) (h health) {
	e.t.Helper()
	resp, err := http.Get(e.endpoint(dir, "http") + "/healthz")
	must(e.t, err)
	defer resp.Body.Close()
	must(e.t, json.NewDecoder(resp.Body).Decode(&h))
	return h
}

// published waits until all that a server has recorded is in the stream.
func (e *elsewhere) published(dir string) {
	e.t.Helper()
	e.until("publishing all", func() error {
		if h := e.health(dir); h.Stream != "" || h.PublishedSequence != h.DurableSequence {
			return fmt.Errorf("%+v", h)
		}
		return nil
	})
}

// tell has a command carried out by the server on a directory, over NATS, and returns the answer.
func (e *elsewhere) tell(dir, name, body string, more ...string) (answer map[string]any) {
	e.t.Helper()
	out := e.tally(append([]string{"command", name, "--data", dir, "--json", body}, more...)...)
	must(e.t, json.Unmarshal([]byte(out), &answer))
	return answer
}

// business is a merchant with a key, and a customer with money.
type business struct {
	merchant, key, secret      string
	customer, metric, wallet   string
	plan                       string
	usageAt, usageAtInThisName string // subjects
	since                      string // when its customer is subscribed
}

func (e *elsewhere) business(dir, name string) (b business) {
	e.t.Helper()
	b.merchant = e.tell(dir, "CreateMerchant", `{"profile":{"name":"`+name+`"},"currency":"USD","settings":{"managedPrepaid":true}}`)["id"].(string)
	e.key(dir, &b)
	post := func(path, body string) map[string]any {
		status, answer := e.http(dir, b.secret, "POST", path, body)
		if status >= 300 {
			e.t.Fatalf("%s: %d %v", path, status, answer)
		}
		return answer
	}
	product := post("/v0/products", `{"merchantId":"`+b.merchant+`","name":"API","description":"d"}`)["id"].(string)
	b.metric = post("/v0/billableMetrics", `{"merchantId":"`+b.merchant+`","productId":"`+product+`","name":"T","description":"d","unit":"t","aggregation":"SUM"}`)["id"].(string)
	price := post("/v0/prices", `{"billableMetricId":"`+b.metric+`","model":"standard","paymentTerm":"instant","invoiceDisplayName":"T","properties":{"unitPrice":"0.01"}}`)["id"].(string)
	b.plan = post("/v0/plans", `{"merchantId":"`+b.merchant+`","productId":"`+product+`","name":"P","currency":"USD","billingCadence":"P1M","prices":["`+price+`"]}`)["id"].(string)
	b.since = time.Now().UTC().Add(-time.Hour).Format(time.RFC3339)
	sub := post("/v0/subscriptions", `{"name":"S","planId":"`+b.plan+`","startedAt":"`+b.since+`",
		"customer":{"name":"Jane","email":"jane@example.com","address":{"country":"DE","zipCode":"10115"}}}`)
	b.customer, b.wallet = sub["customerId"].(string), sub["walletId"].(string)
	post("/v0/wallets/"+b.wallet+"/topups", `{"amount":"100","method":"sandbox"}`)
	return b
}

// key makes a key of a merchant.
func (e *elsewhere) key(dir string, b *business) {
	e.t.Helper()
	made := e.tell(dir, "CreateKey", `{"role":"merchant","merchantId":"`+b.merchant+`"}`)
	b.key, b.secret = made["id"].(string), made["secret"].(string)
	b.usageAt = "tally.cmd." + b.merchant + ".ReportUsage"
	b.usageAtInThisName = b.usageAt + "." + b.key
}

func (e *elsewhere) http(dir, secret, method, path, body string) (status int, answer map[string]any) {
	e.t.Helper()
	req, err := http.NewRequestWithContext(e.t.Context(), method, e.endpoint(dir, "api")+path, strings.NewReader(body))
	must(e.t, err)
	req.Header.Set("Authorization", "Bearer "+secret)
	resp, err := http.DefaultClient.Do(req)
	must(e.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(e.t, err)
	_ = json.Unmarshal(b, &answer) // an empty answer has no members
	return resp.StatusCode, answer
}

func (b business) usage(idempotency string) string {
	return fmt.Sprintf(`{"merchantId":%q,"customerId":%q,"idempotencyKey":%q,"timestamp":%q,"properties":[{"billableMetricId":%q,"quantity":1}]}`,
		b.merchant, b.customer, idempotency, b.since, b.metric)
}

// join connects to the NATS server with a merchant's key, over TLS.
func (e *elsewhere) join(b business, inbox string, more ...nats.Option) *nats.Conn {
	e.t.Helper()
	var nc *nats.Conn
	e.until("coming in", func() (err error) { // a server that has just heard of tally, or hears of it again, may ask nobody
		nc, err = nats.Connect("tls://"+e.addr, append([]nats.Option{
			nats.Token(b.secret), nats.CustomInboxPrefix("_INBOX_" + inbox), nats.RootCAs(filepath.Join(e.dir, "ca.pem")),
			nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}), // of what is not permitted
		}, append(e.certs, more...)...)...)
		return err
	})
	e.t.Cleanup(nc.Close)
	return nc
}

// report reports usage by a request, and returns the status in the receipt.
func (e *elsewhere) report(nc *nats.Conn, subject, body string) (status string) {
	e.t.Helper()
	m, err := nc.Request(subject, []byte(body), limit)
	if err != nil {
		e.t.Fatalf("%s: %v (%v)", subject, err, nc.LastError())
	}
	var receipt struct{ Status, Code string }
	must(e.t, json.Unmarshal(m.Data, &receipt))
	return receipt.Status + receipt.Code
}

// stream publishes usage to the stream, until it is acknowledged.
func (e *elsewhere) stream(js jetstream.JetStream, subject, body string) {
	e.t.Helper()
	e.until("an acknowledgement", func() error { _, err := js.Publish(e.t.Context(), subject, []byte(body)); return err })
}

// balance is the balance of a merchant's customer.
func (e *elsewhere) balance(dir string, b business) string {
	e.t.Helper()
	status, wallet := e.http(dir, b.secret, "GET", "/v0/wallets/"+b.wallet, "")
	if status != http.StatusOK {
		e.t.Fatalf("the wallet: %d %v", status, wallet)
	}
	return fmt.Sprintf("%.0f", wallet["balance"])
}
