package dane_test

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"testing"
	"time"

	"github.com/miekg/dns"

	"postroom/delivery/dane"
	"postroom/delivery/smtpclient/smtptest"
)

func tlsa(usage, selector, matching uint8, cert *x509.Certificate) dns.TLSA {
	data := cert.Raw
	if selector == 1 {
		data = cert.RawSubjectPublicKeyInfo
	}
	switch matching {
	case 1:
		sum := sha256.Sum256(data)
		data = sum[:]
	case 2:
		sum := sha512.Sum512(data)
		data = sum[:]
	}
	return dns.TLSA{Usage: usage, Selector: selector, MatchingType: matching, Certificate: hex.EncodeToString(data)}
}

func TestUsable(t *testing.T) {
	cert := smtptest.NewAuthority(t, "CA").Cert
	text := func(usage, selector, matching uint8, data string) dns.TLSA {
		return dns.TLSA{Usage: usage, Selector: selector, MatchingType: matching, Certificate: data}
	}
	for _, test := range []struct {
		name   string
		record dns.TLSA
		usable bool
	}{
		{"PKIX-TA isn't", tlsa(0, 0, 1, cert), false},
		{"PKIX-EE isn't", tlsa(1, 1, 1, cert), false},
		{"DANE-TA is", tlsa(2, 0, 1, cert), true},
		{"DANE-EE is", tlsa(3, 1, 1, cert), true},
		{"SHA-512 is", tlsa(3, 1, 2, cert), true},
		{"a whole certificate is", tlsa(2, 0, 0, cert), true},
		{"a whole key is", tlsa(2, 1, 0, cert), true},
		{"an unknown usage isn't", tlsa(4, 1, 1, cert), false},
		{"an unknown selector isn't", tlsa(3, 2, 1, cert), false},
		{"an unknown digest isn't", tlsa(3, 1, 3, cert), false},
		{"a short digest isn't", text(3, 1, 1, "abcd"), false},
		{"the digest of another kind isn't", text(3, 1, 2, tlsa(3, 1, 1, cert).Certificate), false},
		{"nothing isn't", text(3, 1, 0, ""), false},
		{"an authority that isn't a certificate isn't", text(2, 0, 0, "abcd"), false},
		{"an authority that isn't a key isn't", text(2, 1, 0, "abcd"), false},
		{"what is no hexadecimal isn't", text(3, 1, 0, "xyz"), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := dane.Usable([]dns.TLSA{test.record}); (len(got) == 1) != test.usable {
				t.Errorf("%v", got)
			}
		})
	}
}

// A handshake's end, as far as it counts here.
func state(config *tls.Config) tls.ConnectionState {
	var list []*x509.Certificate
	for _, der := range config.Certificates[0].Certificate {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			panic(err)
		}
		list = append(list, cert)
	}
	return tls.ConnectionState{PeerCertificates: list}
}

func TestJudge(t *testing.T) {
	const host = "mx.remote.test"
	ca := smtptest.NewAuthority(t, "CA")
	under := ca.Under(t, "Issuing CA")
	stranger := smtptest.NewAuthority(t, "Stranger")
	leaf := smtptest.Leaf{Names: []string{host}}
	old := smtptest.Leaf{Names: []string{host}, Until: time.Unix(1e9, 0)}
	other := smtptest.Leaf{Names: []string{"other.test"}}
	wild := smtptest.Leaf{Names: []string{"*.remote.test"}}

	full := under.Issue(t, leaf, under, ca)
	short := under.Issue(t, leaf, under)
	bare := ca.Issue(t, leaf)
	expired := under.Issue(t, old, under, ca)
	alien := under.Issue(t, other, under, ca)
	starred := under.Issue(t, wild, under, ca)
	own := smtptest.Certificate(t, "nobody.test")
	pretender := stranger.Issue(t, leaf, ca) // the authority's certificate is there, but has not signed
	end := func(config *tls.Config) *x509.Certificate { return state(config).PeerCertificates[0] }
	wrong := func(r dns.TLSA) dns.TLSA { // the same digest of something else
		r.Certificate = hex.EncodeToString(make([]byte, len(r.Certificate)/2))
		return r
	}
	const (
		none     = "no TLSA record matches the certificate"
		dates    = "valid only from 1970-01-01 to 2001-09-09"
		unsigned = "it is not signed by the authority that the TLSA record names"
		names    = "it is not for mx.remote.test or remote.test"
	)
	type records []dns.TLSA
	for _, test := range []struct {
		name    string
		server  *tls.Config
		records records
		words   string // of the judgement
		err     string
	}{
		{"a certificate matches", full, records{tlsa(3, 0, 1, end(full))}, "matches TLSA 3 0 1", ""},
		{"a key matches", full, records{tlsa(3, 1, 1, end(full))}, "matches TLSA 3 1 1", ""},
		{"SHA-512 matches", full, records{tlsa(3, 1, 2, end(full))}, "matches TLSA 3 1 2", ""},
		{"a whole certificate matches", full, records{tlsa(3, 0, 0, end(full))}, "matches TLSA 3 0 0", ""},
		{"a whole key matches", full, records{tlsa(3, 1, 0, end(full))}, "matches TLSA 3 1 0", ""},
		{"its name and authority don't count", own, records{tlsa(3, 1, 1, end(own))}, "matches TLSA 3 1 1", ""},
		{"its dates don't count", expired, records{tlsa(3, 1, 1, end(expired))}, "matches TLSA 3 1 1", ""},
		{"one of several matches", full, records{tlsa(3, 1, 1, end(own)), tlsa(3, 1, 1, end(full))}, "matches TLSA 3 1 1", ""},
		{"another certificate doesn't", full, records{tlsa(3, 1, 1, end(own))}, "", none},
		{"the authority's isn't the server's own", full, records{tlsa(3, 1, 1, ca.Cert)}, "", none},

		{"an authority is found in the chain", full, records{tlsa(2, 0, 1, ca.Cert)}, "matches TLSA 2 0 1", ""},
		{"its key is found in the chain", full, records{tlsa(2, 1, 1, ca.Cert)}, "matches TLSA 2 1 1", ""},
		{"an authority in the middle will do", full, records{tlsa(2, 1, 2, under.Cert)}, "matches TLSA 2 1 2", ""},
		{"an authority that isn't in the chain can't be known by its digest", short, records{tlsa(2, 0, 1, ca.Cert)}, "", none},
		{"an authority that isn't in the chain is in the record", short, records{tlsa(2, 0, 0, ca.Cert)}, "matches TLSA 2 0 0", ""},
		{"its key is in the record", short, records{tlsa(2, 1, 0, ca.Cert)}, "matches TLSA 2 1 0", ""},
		{"its key has signed the server's own", bare, records{tlsa(2, 1, 0, ca.Cert)}, "matches TLSA 2 1 0", ""},
		{"another key has not", short, records{tlsa(2, 1, 0, stranger.Cert)}, "", none},
		{"another authority has not", short, records{tlsa(2, 0, 0, stranger.Cert)}, "", unsigned},
		{"an authority that is only shown has signed nothing", pretender, records{tlsa(2, 0, 1, ca.Cert)}, "", unsigned},
		{"a server's own certificate is no authority", full, records{tlsa(2, 0, 1, end(full))}, "", none},
		{"an authority's server must be the right one", alien, records{tlsa(2, 0, 1, ca.Cert)}, "", names},
		{"the right one by its key too", alien, records{tlsa(2, 1, 0, ca.Cert)}, "", names},
		{"a wildcard will do", starred, records{tlsa(2, 0, 1, ca.Cert)}, "matches TLSA 2 0 1", ""},
		{"an authority's server must be of today", expired, records{tlsa(2, 0, 1, ca.Cert)}, "", dates},
		{"of today by its key too", ca.Issue(t, old), records{tlsa(2, 1, 0, ca.Cert)}, "", dates},
		{"either record will do", expired, records{tlsa(2, 0, 1, ca.Cert), tlsa(3, 1, 1, end(expired))}, "matches TLSA 3 1 1", ""},

		{"a weak digest doesn't count beside a strong one", full, records{tlsa(3, 1, 1, end(full)), wrong(tlsa(3, 1, 2, end(full)))}, "", none},
		{"it does beside one of something else", full, records{tlsa(3, 1, 1, end(full)), wrong(tlsa(3, 0, 2, end(full)))}, "matches TLSA 3 1 1", ""},
		{"the whole counts beside any digest", full, records{tlsa(3, 1, 0, end(full)), wrong(tlsa(3, 1, 2, end(full)))}, "matches TLSA 3 1 0", ""},
		{"an unusable digest doesn't outdo a usable one", full, records{tlsa(3, 1, 1, end(full)), wrong(tlsa(3, 1, 3, end(full)))}, "matches TLSA 3 1 1", ""},
		{"unusable records match nothing", full, records{tlsa(1, 1, 1, end(full))}, "", none},
	} {
		t.Run(test.name, func(t *testing.T) {
			words, err := dane.Judge(test.records, []string{host + ".", "remote.test"})(state(test.server))
			if words != test.words || err == nil != (test.err == "") || err != nil && err.Error() != test.err {
				t.Errorf("%q, %v", words, err)
			}
		})
	}
}

func TestJudgeWithoutCertificate(t *testing.T) {
	ca := smtptest.NewAuthority(t, "CA")
	if words, err := dane.Judge([]dns.TLSA{tlsa(3, 1, 1, ca.Cert)}, nil)(tls.ConnectionState{}); err == nil {
		t.Error(words)
	}
}
