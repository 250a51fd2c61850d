package httpapi_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tallystick/internal/httpapi"
	"tallystick/internal/server"
)

// certificate writes a new certificate for 127.0.0.1 and its key, and returns who trusts it.
func certificate(t *testing.T) (cert, key string, trust *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	about := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tally"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, about, about, &private.PublicKey, private)
	check(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	check(t, err)
	cert, key = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	check(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	check(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	parsed, err := x509.ParseCertificate(der)
	check(t, err)
	trust = x509.NewCertPool()
	trust.AddCert(parsed)
	return cert, key, trust
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestTLS: with a certificate the API is at https and nowhere else, with TLS 1.2 at least; without its key nothing is served.
func TestTLS(t *testing.T) {
	cert, key, trust := certificate(t)
	w := newWorldOver(t, func(d *server.Doors) { d.API.Cert, d.API.Key = cert, key }, trust)
	if !strings.HasPrefix(w.server.APIURL(), "https://") {
		t.Errorf("the API is at %s", w.server.APIURL())
	}
	w.do(200, "GET", "/v0/products", "")
	host := strings.TrimPrefix(w.server.APIURL(), "https://")
	if resp, err := http.Get("http://" + host + "/v0/products"); err == nil {
		resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("without TLS the answer is %d", resp.StatusCode)
		}
	}
	if _, err := tls.Dial("tcp", host, &tls.Config{RootCAs: trust, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	if s, err := httpapi.Serve(t.Context(), httpapi.Listen{Addr: "127.0.0.1:0", Cert: cert, Key: cert}, http.NotFoundHandler(), slog.New(slog.DiscardHandler)); err == nil {
		t.Errorf("without a key it is served at %s", s.URL())
	}
}

// hasty are times that a test can wait for.
var hasty = httpapi.Listen{Addr: "127.0.0.1:0", HeaderTimeout: 2 * time.Second, ReadTimeout: 3 * time.Second, IdleTimeout: time.Second}

// TestSlow: who sends slowly, or nothing at all, does not keep a connection.
func TestSlow(t *testing.T) {
	w := newWorld(t, func(d *server.Doors) { d.API = hasty })
	before := w.server.Sequencer.Applied()
	for _, tt := range []struct{ what, sends, wants string }{
		{"nothing", "", ""},
		{"half of the headers", "POST /v0/products HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + w.key + "\r\nX-Half", "HTTP/1.1 400"},
		{"half of a body", "POST /v0/products HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + w.key + "\r\nContent-Length: 100\r\n\r\n{\"name\":", "HTTP/1.1 400"},
		{"too many headers", "GET /v0/products HTTP/1.1\r\nHost: x\r\nX-Large: " + strings.Repeat("x", 100<<10) + "\r\n\r\n", "HTTP/1.1 431"},
		{"one request, and no other", "GET /v0/products HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + w.key + "\r\n\r\n", "HTTP/1.1 200"},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(w.server.APIURL(), "http://"))
			check(t, err)
			_, err = io.WriteString(conn, tt.sends)
			check(t, err)
			check(t, conn.SetReadDeadline(time.Now().Add(time.Minute)))
			answer, err := io.ReadAll(conn)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("it keeps the connection")
			}
			if !strings.HasPrefix(string(answer), tt.wants) {
				t.Errorf("it is answered %.200q, want %s", answer, tt.wants)
			}
			if after := w.server.Sequencer.Applied(); after != before {
				t.Error("it moves the log")
			}
			check(t, conn.Close())
		})
	}
}

// TestTooLarge: a request that is too large is refused.
func TestTooLarge(t *testing.T) {
	w := newWorld(t, nil)
	w.call(w.key, "POST", "/v0/products", strings.Repeat(" ", 2<<20)).code(t, 400, "TOO_LARGE")
	w.call(w.key, "POST", "/v0/usage/batch", strings.Repeat(" ", 9<<20)).code(t, 400, "TOO_LARGE")
}

// TestOneLengthOneRequest: a request that says the length of its body in two ways is answered, and what follows it is no request: a proxy may have
// taken it for the rest of that body, which somebody else has sent.
func TestOneLengthOneRequest(t *testing.T) {
	w := newWorld(t, nil)
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(w.server.APIURL(), "http://"))
	check(t, err)
	next := "GET /v0/products HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + w.key + "\r\n\r\n"
	_, err = io.WriteString(conn, "POST /v0/products HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+w.key+
		"\r\nContent-Length: 200\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"+next)
	check(t, err)
	check(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
	answer, err := io.ReadAll(conn)
	check(t, err)
	if n := strings.Count(string(answer), "HTTP/1.1 "); n != 1 {
		t.Errorf("%d answers: %s", n, answer)
	}
	check(t, conn.Close())
}

// TestPathsAreWhatTheyAre: a path that leads through nothing, or back, is one that there is not, with the usual answer.
func TestPathsAreWhatTheyAre(t *testing.T) {
	w := newWorld(t, nil)
	for _, path := range []string{"//v0/products", "/v0//products", "/v0/./products", "/v0/x/../products", "/v0/products/", "//evil.example/..", "//", "//signin", "/./signin", "/home/../signin", "//evil.example/../signin"} {
		w.call(w.key, "GET", path, "").code(t, 404, "NOT_FOUND")
	}
}

// TestShutdown: at the end the request under way is answered, and nobody new is let in.
func TestShutdown(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-leave
		_, _ = io.Copy(w, r.Body)
	})
	s, err := httpapi.Serve(t.Context(), httpapi.Listen{Addr: "127.0.0.1:0"}, handler, slog.New(slog.DiscardHandler))
	check(t, err)
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.URL(), "http://"))
	check(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")
	check(t, err)
	<-entered
	closed := make(chan error, 1)
	go func() { closed <- s.Close(context.WithoutCancel(t.Context())) }()
	for range 500 { // until nobody listens any more
		other, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.URL(), "http://"))
		if err != nil {
			break
		}
		check(t, other.Close())
		<-time.After(10 * time.Millisecond)
	}
	select {
	case err := <-closed:
		t.Fatalf("the end did not wait for the request: %v", err)
	default:
	}
	close(leave)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	check(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	check(t, err)
	if !bytes.Equal(body, []byte("hello")) {
		t.Errorf("the answer is %q", body)
	}
	check(t, <-closed)
}
