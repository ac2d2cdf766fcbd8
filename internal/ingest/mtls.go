package ingest

import (
	"crypto/x509"
	"errors"
	"strings"

	"keyturn/internal/config"
)

// errNoCertificate covers all that may be wrong with a client certificate.
var errNoCertificate = errors.New("client certificate missing, or of a name that is not configured")

// mtls believes whoever has a client certificate of a configured name. That the certificate is good has been checked by
// the listener.
type mtls struct{ sans []string }

func newMTLS(spec config.MTLS) mtls { return mtls{spec.SANs} }

func (mtls) keys() int { return 0 }

// Glance does all of the work: nothing of the body is needed.
func (v mtls) Glance(d Delivery) error {
	_, err := v.Verify(d)
	return err
}

// Verify takes the delivery when a name of the certificate fits one of the patterns.
func (v mtls) Verify(d Delivery) (Verified, error) {
	if d.TLS == nil || len(d.TLS.VerifiedChains) == 0 || len(d.TLS.PeerCertificates) == 0 {
		return Verified{}, errNoCertificate
	}
	names := alternativeNames(d.TLS.PeerCertificates[0])
	for _, pattern := range v.sans {
		for _, name := range names {
			if fits(pattern, name) {
				d.say(true, "key", func() string { return "certificate of " + name })
				return Verified{Whole: true}, nil
			}
		}
	}
	return Verified{}, errNoCertificate
}

// alternativeNames lists the subject alternative names as patterns are written.
func alternativeNames(c *x509.Certificate) []string {
	var names []string
	for _, n := range c.DNSNames {
		names = append(names, "dns:"+strings.ToLower(n))
	}
	for _, u := range c.URIs {
		names = append(names, "uri:"+u.String())
	}
	for _, a := range c.EmailAddresses {
		names = append(names, "email:"+a)
	}
	return names
}

// fits matches a pattern whose * stands for any text without a dot, a slash or an @.
func fits(pattern, name string) bool {
	if strings.HasPrefix(pattern, "dns:") {
		pattern = strings.ToLower(pattern)
	}
	head, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == name
	}
	name, ok := strings.CutPrefix(name, head)
	if !ok {
		return false
	}
	for i := 0; i <= len(name); i++ {
		if i > 0 && strings.ContainsRune("./@", rune(name[i-1])) {
			return false
		}
		if i > 0 && fits(rest, name[i:]) {
			return true
		}
	}
	return false
}
