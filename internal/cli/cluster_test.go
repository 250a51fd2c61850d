package cli_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// cluster is three NATS servers as docs/nats.md describes them, which ask for client certificates.
type cluster struct {
	*elsewhere
	servers [3]*server.Server
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{elsewhere: newElsewhere(t)}
	conf, err := os.ReadFile(filepath.Join(c.dir, "nats.conf"))
	must(t, err)
	block := regexp.MustCompile("(?s)```conf\n(cluster .*?)```").FindStringSubmatch(c.page)
	if block == nil {
		t.Fatal("the page shows no cluster")
	}
	var ports [6]string
	for i := range ports {
		ports[i] = reserve(t)
	}
	routes := block[1]
	for i, port := range ports[3:] {
		routes = strings.Replace(routes, fmt.Sprintf("nats-%d:6222", i+1), port, 1)
	}
	for i := range c.servers {
		text := strings.NewReplacer(
			"nats-1", fmt.Sprintf("nats-%d", i+1), c.addr, ports[i], c.quoted("jetstream"), c.quoted(fmt.Sprintf("jetstream-%d", i+1)),
			"tls {", "tls {\n  ca_file: "+c.quoted("ca.pem")+"\n  verify: true",
		).Replace(string(conf))
		text += strings.Replace(routes, "0.0.0.0:6222", ports[3+i], 1)
		must(t, os.WriteFile(filepath.Join(c.dir, c.conf(i)), []byte(text), 0o600))
	}
	c.addr = strings.Join(ports[:3], ",tls://")
	c.certs = []nats.Option{
		nats.ClientCert(filepath.Join(c.dir, "client.pem"), filepath.Join(c.dir, "client-key.pem")),
		nats.ReconnectWait(20 * time.Millisecond), nats.MaxReconnects(-1),
	}
	for i := range c.servers {
		c.servers[i] = c.start(c.conf(i))
	}
	t.Cleanup(func() {
		for dir := range c.procs {
			c.end(dir)
		}
		for i := range c.servers {
			c.stop(i)
		}
	})
	return c
}

func (c *cluster) conf(i int) string { return fmt.Sprintf("nats-%d.conf", i+1) }

func (c *cluster) stop(i int) {
	if s := c.servers[i]; s != nil {
		s.Shutdown()
		s.WaitForShutdown()
		c.servers[i] = nil
	}
}

// current waits until every server has all of the streams, so that any one may go.
func (c *cluster) current() {
	c.t.Helper()
	c.until("copies on all servers", func() error {
		for i, s := range c.servers {
			for _, stream := range []string{"LEDGER", "USAGE"} {
				if !s.JetStreamIsStreamCurrent("TALLY", stream) {
					return fmt.Errorf("server %d is behind with %s", i+1, stream)
				}
			}
		}
		return nil
	})
}

// TestExternalCluster takes each of three servers away in turn, and then all of them, while usage comes in both ways: every event is
// charged once, and the stream is the log.
func TestExternalCluster(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	serve := func() {
		c.serve("ledger", "--nats-replicas", "3", "--nats-client-cert", filepath.Join(c.dir, "client.pem"), "--nats-client-key", filepath.Join(c.dir, "client-key.pem"))
	}
	serve()
	c.until("the streams", func() error {
		if h := c.health("ledger"); h.Status != "ok" || h.Stream != "" {
			return fmt.Errorf("%+v", h)
		}
		return nil
	})
	for _, addr := range strings.Split(c.addr, ",tls://") { // until each has heard of tally, who says whom a key lets in
		c.until("coming in at "+addr, func() error {
			_, err := c.try("status", "--server", "tls://"+addr, "--key", c.endpoint("ledger", "key"), "--ca", filepath.Join(c.dir, "ca.pem"),
				"--client-cert", filepath.Join(c.dir, "client.pem"), "--client-key", filepath.Join(c.dir, "client-key.pem"))
			return err
		})
	}
	if _, err := nats.Connect("tls://"+c.addr, nats.RootCAs(filepath.Join(c.dir, "ca.pem"))); err == nil {
		t.Error("a client without a certificate comes in")
	}
	b := c.business("ledger", "Acme")
	nc := c.join(b, b.key)
	js, err := jetstream.New(nc)
	must(t, err)
	events := 0
	use := func(begin string) {
		t.Helper()
		for i := range 10 {
			body := b.usage(fmt.Sprint(begin, i))
			c.until("an answer", func() error { // a request that a server took with it is repeated
				m, err := nc.Request(b.usageAtInThisName, []byte(body), 2*time.Second)
				if err == nil && !strings.Contains(string(m.Data), `"accepted"`) && !strings.Contains(string(m.Data), `"duplicate"`) {
					err = errors.New(string(m.Data))
				}
				return err
			})
			c.stream(js, "tally.usage."+b.merchant, b.usage(fmt.Sprint(begin, " streamed ", i)))
			events += 2
		}
	}
	charged := func() {
		t.Helper()
		c.until("charges", func() error {
			if got, want := c.balance("ledger", b), fmt.Sprint(100_000_000_000-10_000_000*events); got != want {
				return fmt.Errorf("the balance is %s, want %s", got, want)
			}
			return nil
		})
	}
	use("all")
	for i := range c.servers {
		c.current()
		c.stop(i)
		use(fmt.Sprint("without ", i))
		charged()
		c.published("ledger")
		c.servers[i] = c.start(c.conf(i))
	}
	c.current()
	for i := range c.servers {
		c.stop(i)
	}
	for i := range 10 {
		if status, answer := c.http("ledger", b.secret, "POST", "/v0/usage", b.usage(fmt.Sprint("none ", i))); status >= 300 {
			t.Fatalf("usage without any server: %d %v", status, answer)
		}
		events++
	}
	for i := range c.servers {
		c.servers[i] = c.start(c.conf(i))
	}
	use("again")
	charged()
	c.published("ledger")
	c.until("verifying", func() error { _, err := c.try("verify", "--data", "ledger"); return err })
}
