package ingest

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keyturn/internal/config"
)

// authority issues certificates of a test.
type authority struct {
	t    testing.TB
	key  crypto.Signer
	cert *x509.Certificate
	pem  []byte
}

func newAuthority(t testing.TB, key string) *authority {
	t.Helper()
	a := &authority{t: t, key: signers()[key]}
	a.cert, a.pem = a.issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: key + " authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, a.key.Public(), nil)
	return a
}

func (a *authority) issue(c *x509.Certificate, public crypto.PublicKey, parent *x509.Certificate) (*x509.Certificate, []byte) {
	a.t.Helper()
	c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, public, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return made, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// files writes a certificate of the authority for the names, and its key.
func (a *authority) files(dns []string, uris ...string) (cert, key string) {
	a.t.Helper()
	c := &x509.Certificate{DNSNames: dns, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}}
	for _, text := range uris {
		u, err := url.Parse(text)
		if err != nil {
			a.t.Fatal(err)
		}
		c.URIs = append(c.URIs, u)
	}
	_, certPEM := a.issue(c, signers()["p384"].Public(), a.cert)
	der, err := x509.MarshalPKCS8PrivateKey(signers()["p384"])
	if err != nil {
		a.t.Fatal(err)
	}
	dir := a.t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := errors.Join(os.WriteFile(cert, certPEM, 0o600),
		os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)); err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

// client speaks TLS with a certificate of its own, or with none.
func (a *authority) client(cert, key string) *http.Client {
	a.t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	c := &tls.Config{RootCAs: roots, ServerName: "keyturn.acme.example"}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			a.t.Fatal(err)
		}
		// Also one that the listener did not ask for.
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	transport := &http.Transport{TLSClientConfig: c, DisableKeepAlives: true}
	return &http.Client{Transport: transport}
}

func TestMutualTLS(t *testing.T) {
	ours, theirs := newAuthority(t, "p256"), newAuthority(t, "p521")
	spec := SourceSpec{Name: "siem", Preset: "cloudevents", Verify: VerifySpec{MTLS: &config.MTLS{SANs: []string{"dns:*.siem.acme.example", "uri:spiffe://acme.example/siem/*"}}}}
	f := open(t, Options{}, spec, hrSpec())
	var files config.PublicTLS
	files.Cert, files.Key = ours.files([]string{"keyturn.acme.example"})
	files.ClientCA = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(files.ClientCA, ours.pem, 0o600); err != nil {
		t.Fatal(err)
	}
	secured, err := ListenerTLS(files)
	if err != nil {
		t.Fatal(err)
	}
	l := loopback(t)
	s := NewServer(ServerOptions{Handler: f.handle, Log: quiet(), TLS: secured})
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	post := func(a *authority, dns []string, uris ...string) int {
		t.Helper()
		var cert, key string
		if len(dns)+len(uris) > 0 {
			cert, key = a.files(dns, uris...)
		}
		client := ours.client(cert, key)
		resp, err := client.Post("https://"+l.Addr().String()+"/hooks/siem", structured, strings.NewReader(terminated("e1", "m@acme.example")))
		if err != nil {
			return 0 // the handshake failed
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	for name, c := range map[string]struct {
		from *authority
		dns  []string
		uris []string
		want int
	}{
		"a name":            {ours, []string{"a.siem.acme.example"}, nil, 202},
		"second name":       {ours, []string{"x.example", "A.SIEM.acme.example"}, nil, 202},
		"a URI":             {ours, nil, []string{"spiffe://acme.example/siem/one"}, 202},
		"no certificate":    {ours, nil, nil, 401},
		"another name":      {ours, []string{"siem.acme.example"}, nil, 401},
		"two labels":        {ours, []string{"a.b.siem.acme.example"}, nil, 401},
		"a name behind":     {ours, []string{"a.siem.acme.example.evil.example"}, nil, 401},
		"another URI":       {ours, nil, []string{"spiffe://acme.example/siem/one/two"}, 401},
		"another authority": {theirs, []string{"a.siem.acme.example"}, nil, 0},
	} {
		if got := post(c.from, c.dns, c.uris...); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	// A certificate that was renewed serves the next connection.
	cert, key := ours.files([]string{"keyturn.acme.example", "new.acme.example"})
	for from, to := range map[string]string{cert: files.Cert, key: files.Key} {
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.WriteFile(to, b, 0o600), os.Chtimes(to, noon, noon)); err != nil {
			t.Fatal(err)
		}
	}
	conn, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	if names := conn.ConnectionState().PeerCertificates[0].DNSNames; len(names) != 2 {
		t.Errorf("still %v", names)
	}
	_ = conn.Close()
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestListenerTLSFaults(t *testing.T) {
	a := newAuthority(t, "p256")
	cert, key := a.files([]string{"keyturn.acme.example"})
	for name, files := range map[string]config.PublicTLS{
		"no file":       {Cert: "nothing", Key: key},
		"not a key":     {Cert: cert, Key: cert},
		"no authority":  {Cert: cert, Key: key, ClientCA: "nothing"},
		"not authority": {Cert: cert, Key: key, ClientCA: key},
	} {
		if _, err := ListenerTLS(files); err == nil || !strings.Contains(err.Error(), "KEYTURN_TLS_C") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if c, err := ListenerTLS(config.PublicTLS{}); c != nil || err != nil {
		t.Error(c, err)
	}
}

// TestFailedHandshakesAreSampled: whoever speaks no TLS to a listener that does leaves a few lines, and no more.
func TestFailedHandshakesAreSampled(t *testing.T) {
	a := newAuthority(t, "p256")
	var files config.PublicTLS
	files.Cert, files.Key = a.files([]string{"keyturn.acme.example"})
	secured, err := ListenerTLS(files)
	if err != nil {
		t.Fatal(err)
	}
	l := loopback(t)
	var logs bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&lockedWriter{w: &logs}, nil))
	s := NewServer(ServerOptions{Handler: http.NotFoundHandler(), Log: log, TLS: secured})
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	for range 5 * sampleLines {
		resp, err := http.Get("http://" + l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		http.DefaultClient.CloseIdleConnections()
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if n := strings.Count(logs.String(), `"msg":"public listener"`); n == 0 || n > 2*sampleLines {
		t.Errorf("%d lines", n)
	}
}
