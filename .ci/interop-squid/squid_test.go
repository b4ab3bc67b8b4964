// Package interopsquid dials through squid. See ../squid, which runs it.
package interopsquid

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chanws/websocket"
)

const (
	user     = "us3r"
	password = "s3cret"
	// hashed is the password for squid: openssl passwd -apr1
	hashed = "$apr1$websocke$Aflh7N/u0MuAokdYSBWTN0"
)

// config is squid's: names from a file, no cache, no logs but what it prints.
const config = `%s
http_access deny !allowed
%s
http_access deny all
hosts_file %s
cache_effective_user proxy
visible_hostname squid.example
pid_filename none
access_log none
cache_log none
cache deny all
coredump_dir %s
shutdown_lifetime 0 seconds
netdb_filename none
pinger_enable off
`

// with is what the configuration says of who may connect.
var with = map[string]string{
	"no password": "http_access allow all",
	"a password": `auth_param basic program /usr/lib/squid/basic_ncsa_auth %s
auth_param basic realm office
acl known proxy_auth REQUIRED
http_access allow known`,
}

// An origin is a pair of servers that echo, whose names squid knows.
type origin struct {
	plain, secure *httptest.Server
}

func newOrigin(t *testing.T) origin {
	t.Helper()
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		for m := range c.Messages() {
			if c.Send(context.Background(), m) != nil {
				return
			}
		}
	})
	o := origin{httptest.NewServer(echo), httptest.NewTLSServer(echo)}
	o.secure.Config.ErrorLog = log.New(io.Discard, "", 0) // a client hangs up on purpose
	t.Cleanup(o.plain.Close)
	t.Cleanup(o.secure.Close)
	return o
}

func port(s *httptest.Server) string { return s.URL[strings.LastIndex(s.URL, ":"):] }

// trusted knows the certificate of the servers and, over TLS, of squid.
func (o origin) trusted() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(o.secure.Certificate())
	return &tls.Config{RootCAs: pool}
}

// pem writes certificate and key for squid.
func (o origin) pem(t *testing.T, name string) {
	t.Helper()
	certificate := o.secure.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]})
	write(t, name, string(append(b, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)))
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// start runs squid in the foreground until the end of the test. It returns the
// addresses for http and https.
func start(t *testing.T, o origin, access string) (plain, secure string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "squid")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	// Started by root it becomes the user proxy, who has to see the files.
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	write(t, in("hosts"), "127.0.0.1 example.com wrong.example\n")
	write(t, in("passwords"), user+":"+hashed+"\n")
	o.pem(t, in("pem"))
	plain, secure = free(t), free(t)
	ports := fmt.Sprintf("http_port %s\nhttps_port %s tls-cert=%s tls-key=%[3]s\nacl allowed port%s%s 9", plain, secure, in("pem"),
		strings.ReplaceAll(port(o.plain), ":", " "), strings.ReplaceAll(port(o.secure), ":", " "))
	if strings.Contains(access, "%s") {
		access = fmt.Sprintf(access, in("passwords"))
	}
	write(t, in("conf"), fmt.Sprintf(config, ports, access, in("hosts"), dir))
	run(t, exec.Command("squid", "-N", "-d", "1", "-f", in("conf")), plain, secure)
	return plain, secure
}

// free is an address that nobody listens at.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// run starts squid, waits until it listens, and stops it with the test.
func run(t *testing.T, squid *exec.Cmd, addresses ...string) {
	t.Helper()
	var said bytes.Buffer
	squid.Stderr = &said
	if err := squid.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		squid.Wait()
	}()
	t.Cleanup(func() {
		squid.Process.Signal(os.Interrupt)
		late := time.AfterFunc(20*time.Second, func() { squid.Process.Kill() })
		<-ended
		late.Stop()
		if t.Failed() {
			t.Logf("squid said:\n%s", &said)
		}
	})
	for _, address := range addresses {
		wantListening(t, address, ended)
	}
}

// wantListening waits until connections are accepted. Squid tells "Accepting" shortly
// before it does, so what it prints is no sign.
func wantListening(t *testing.T, address string, ended <-chan struct{}) {
	t.Helper()
	again, late := time.NewTicker(20*time.Millisecond), time.NewTimer(30*time.Second)
	defer again.Stop()
	defer late.Stop()
	for {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			return
		}
		select {
		case <-again.C:
		case <-ended:
			t.Fatal("squid ended")
		case <-late.C:
			t.Fatalf("squid does not listen: %v", err)
		}
	}
}

func options(o origin, scheme, address string, who *url.Userinfo) *websocket.DialOptions {
	if scheme == "https" {
		address = "example.com" + address[strings.LastIndex(address, ":"):]
	}
	return &websocket.DialOptions{
		Proxy:          http.ProxyURL(&url.URL{Scheme: scheme, Host: address, User: who}),
		ProxyTLSConfig: o.trusted(),
		TLSConfig:      o.trusted(),
		NetDialContext: func(ctx context.Context, network, to string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, strings.Replace(to, "example.com", "127.0.0.1", 1))
		},
	}
}

// wantEcho dials and sends some messages through.
func wantEcho(t *testing.T, address string, opts *websocket.DialOptions) {
	t.Helper()
	c, err := websocket.Dial(t.Context(), address, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Abort()
	for _, size := range []int{0, 125, 1 << 10, 1 << 20} {
		data := bytes.Repeat([]byte{byte(size >> 7), 1}, size/2)
		if err := c.Send(t.Context(), websocket.Binary(data)); err != nil {
			t.Fatal(err)
		}
		if m := <-c.Messages(); !bytes.Equal(m.Data, data) {
			t.Errorf("%d bytes came back as %d", len(data), len(m.Data))
		}
	}
	if _, err := c.Ping(t.Context(), []byte("ping")); err != nil {
		t.Error(err)
	}
	if err := c.Close(t.Context(), 4000, "done"); err != nil {
		t.Error(err)
	}
	if event := <-c.Closed(); event.Code != 4000 {
		t.Errorf("closed with %v", event)
	}
}

// wantRefused dials in vain.
func wantRefused(t *testing.T, address string, opts *websocket.DialOptions, status int) *websocket.ProxyError {
	t.Helper()
	c, err := websocket.Dial(t.Context(), address, opts)
	if err == nil {
		c.Abort()
		t.Fatalf("%s: dialled", address)
	}
	var failed *websocket.HandshakeError
	var refused *websocket.ProxyError
	if !errors.As(err, &failed) || !errors.As(err, &refused) || refused.Status != status {
		t.Fatalf("%s: %v", address, err)
	}
	if strings.Contains(err.Error(), user) || strings.Contains(err.Error(), password) {
		t.Errorf("the error shows a password: %v", err)
	}
	return refused
}

func TestSquid(t *testing.T) {
	o := newOrigin(t)
	ws, wss := "ws://example.com"+port(o.plain)+"/", "wss://example.com"+port(o.secure)+"/"
	for name, access := range with {
		t.Run("with "+name, func(t *testing.T) {
			plain, secure := start(t, o, access)
			for scheme, address := range map[string]string{"http": plain, "https": secure} {
				t.Run(scheme, func(t *testing.T) {
					opts := options(o, scheme, address, url.UserPassword(user, password))
					wantEcho(t, ws, opts)
					wantEcho(t, wss, opts)
					wantRefused(t, "ws://example.com:9/", opts, 503)  // nobody listens
					wantRefused(t, "ws://example.com:80/", opts, 403) // not allowed
					_, err := websocket.Dial(t.Context(), strings.Replace(wss, "example.com", "wrong.example", 1), opts)
					var host x509.HostnameError
					if !errors.As(err, &host) {
						t.Errorf("%v", err)
					}
					if name == "no password" {
						wantEcho(t, wss, options(o, scheme, address, nil))
						return
					}
					for _, who := range []*url.Userinfo{nil, url.UserPassword(user, "wrong"), url.User("other")} {
						refused := wantRefused(t, wss, options(o, scheme, address, who), 407)
						if got := refused.Header.Get("Proxy-Authenticate"); got != `Basic realm="office"` {
							t.Errorf("Proxy-Authenticate is %q", got)
						}
					}
				})
			}
		})
	}
}
