package ingest

import (
	"strings"

	"keyturn/internal/config"
	"keyturn/internal/mapping"
)

// coverage tells what of a request a proof covers, as far as it is known before one comes.
func coverage(v VerifySpec) mapping.Coverage {
	switch {
	case v.HMAC != nil:
		return signedParts(v.HMAC.Signed, v.HMAC.Timestamp.Header)
	case v.Ed25519 != nil:
		return signedParts(v.Ed25519.Signed, v.Ed25519.Timestamp.Header)
	case v.StandardWebhooks != nil:
		prefix := v.StandardWebhooks.HeaderPrefix
		if prefix == "" {
			prefix = "webhook-"
		}
		return mapping.Coverage{Headers: []string{prefix + "id", prefix + "timestamp"}}
	case v.SetJWS != nil, v.IP != nil:
		return mapping.Coverage{}
	case v.HeaderToken != nil:
		return mapping.Coverage{All: true, Secret: []string{mapping.OfHeader(v.HeaderToken.Header)}}
	case v.Basic != nil, v.OIDCBearer != nil:
		return mapping.Coverage{All: true, Secret: []string{mapping.OfHeader(authorization)}}
	case v.URLToken != nil && v.URLToken.Query != "":
		return mapping.Coverage{All: true, Secret: []string{mapping.OfQuery(v.URLToken.Query)}}
	case len(v.AllOf) > 0:
		var all mapping.Coverage
		for _, one := range v.AllOf {
			c := coverage(one)
			all.All, all.Query, all.Headers = all.All || c.All, all.Query || c.Query, append(all.Headers, c.Headers...)
			all.Secret = append(all.Secret, c.Secret...)
		}
		return all
	case len(v.AnyOf) > 0:
		return anyCoverage(v.AnyOf)
	}
	return mapping.Coverage{All: true}
}

// anyCoverage is what every one of several proofs covers.
func anyCoverage(list []VerifySpec) mapping.Coverage {
	common := coverage(list[0])
	for _, one := range list[1:] {
		c := coverage(one)
		c.Secret = append(common.Secret, c.Secret...) // whichever comes, none of them is looked at
		common.Secret = c.Secret
		switch {
		case c.All:
			continue
		case common.All:
			common = c
			continue
		}
		var both []string
		for _, h := range common.Headers {
			for _, other := range c.Headers {
				if h == other {
					both = append(both, h)
				}
			}
		}
		common.Headers, common.Query = both, common.Query && c.Query
	}
	return common
}

func signedParts(parts []string, stamp string) mapping.Coverage {
	var c mapping.Coverage
	if len(parts) == 0 && stamp != "" {
		parts = []string{config.SignedTimestamp} // and the body: what is signed when nothing else is said
	}
	for _, p := range parts {
		switch name, isHeader := strings.CutPrefix(p, config.SignedHeader); {
		case isHeader:
			c.Headers = append(c.Headers, strings.ToLower(name))
		case p == config.SignedURL:
			c.Query = true
		case p == config.SignedTimestamp && stamp != "":
			c.Headers = append(c.Headers, strings.ToLower(stamp))
		}
	}
	return c
}
