package ingest

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"keyturn/internal/config"
)

// ListenerTLS makes the TLS of a public listener from its files; nil when there are none. A certificate that was renewed
// is used from the next connection on. With a client authority, whoever has a client certificate must have a good one;
// who must have one at all, and of which name, is for the sources to say.
func ListenerTLS(files config.PublicTLS) (*tls.Config, error) {
	if files.Cert == "" {
		return nil, nil
	}
	pair := &keyPair{cert: files.Cert, key: files.Key}
	if _, err := pair.get(nil); err != nil {
		return nil, err
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: pair.get, NextProtos: []string{"h2", "http/1.1"}}
	if files.ClientCA == "" {
		return c, nil
	}
	b, err := os.ReadFile(files.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("read KEYTURN_TLS_CLIENT_CA: %w", err)
	}
	c.ClientCAs, c.ClientAuth = x509.NewCertPool(), tls.VerifyClientCertIfGiven
	if !c.ClientCAs.AppendCertsFromPEM(b) {
		return nil, errors.New("read KEYTURN_TLS_CLIENT_CA: no certificate in it: give the authorities in PEM")
	}
	return c, nil
}

// keyPair is a certificate and its key, read again when the certificate's file has changed.
type keyPair struct {
	cert, key string

	mu     sync.Mutex
	loaded *tls.Certificate
	at     time.Time // of the file
}

// get gives the certificate. One that cannot be read leaves the one before in force.
func (p *keyPair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	info, err := os.Stat(p.cert)
	if err == nil && p.loaded != nil && info.ModTime().Equal(p.at) {
		return p.loaded, nil
	}
	if err == nil {
		var pair tls.Certificate
		if pair, err = tls.LoadX509KeyPair(p.cert, p.key); err == nil {
			p.loaded, p.at = &pair, info.ModTime()
			return p.loaded, nil
		}
	}
	if p.loaded != nil {
		return p.loaded, nil
	}
	return nil, fmt.Errorf("read KEYTURN_TLS_CERT and KEYTURN_TLS_KEY: %w", err)
}
