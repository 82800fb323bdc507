// Makes certificates for ada and bob as programs in Go shape them, each shape in a folder of its own:
// those of memberlist-quic's helpers with every kind of key, cert-manager's, and SPIRE's.
package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

var (
	names    = []string{"ada", "bob"}
	loopback = []net.IP{net.IPv4(127, 0, 0, 1)}
	bothUses = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
)

type issuer struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

func main() {
	directory := os.Args[1]
	for kind, newKey := range kinds {
		helper(filepath.Join(directory, "helper-"+kind), newKey)
	}
	for _, kind := range []string{"p256", "p384", "p521", "ed25519", "rsa2048", "rsa4096"} {
		certManager(filepath.Join(directory, "cert-manager-"+kind), kinds[kind])
	}
	spire(filepath.Join(directory, "spire"), kinds["p256"], true)
	spire(filepath.Join(directory, "spire-without-upstream"), kinds["rsa2048"], false)
}

// As memberlist-quic's helpers: an authority that has an organization and no key identifier of its
// own, the member's name as common name, addresses and no other alternative names.
func helper(directory string, newKey func() crypto.Signer) {
	authority := issue(nil, &x509.Certificate{
		Subject:  pkix.Name{Organization: []string{"Example"}},
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		IsCA:     true,
	}, newKey(), 24*time.Hour)
	for _, name := range names {
		member := issue(authority, &x509.Certificate{
			Subject:     pkix.Name{CommonName: name},
			KeyUsage:    x509.KeyUsageDigitalSignature,
			ExtKeyUsage: bothUses,
			IPAddresses: loopback,
		}, newKey(), 24*time.Hour)
		folder := filepath.Join(directory, name)
		write(folder, "ca.pem", authority)
		write(folder, "cert.pem", member)
		writeKey(folder, "key.pem", member.key, true)
	}
}

// As a secret of cert-manager: tls.crt with the intermediate, tls.key in PKCS#1 or SEC1 (its default
// encoding), ca.crt; the subject is empty, since a common name was not asked for.
func certManager(directory string, newKey func() crypto.Signer) {
	root := issue(nil, authorityOf("root"), newKey(), 24*time.Hour)
	between := issue(root, authorityOf("between"), newKey(), 24*time.Hour)
	for _, name := range names {
		member := issue(between, &x509.Certificate{
			KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
			ExtKeyUsage: bothUses,
			DNSNames:    []string{name},
			IPAddresses: loopback,
		}, newKey(), 24*time.Hour)
		folder := filepath.Join(directory, name)
		write(folder, "ca.pem", root)
		write(folder, "cert.pem", member, between)
		writeKey(folder, "key.pem", member.key, true)
	}
}

// As SPIRE's agent hands them out: the name stands in a URI alone, for an hour, in PKCS#8.
func spire(directory string, newKey func() crypto.Signer, hasUpstream bool) {
	serverTemplate := authorityOf("")
	serverTemplate.Subject = pkix.Name{Country: []string{"US"}, Organization: []string{"SPIFFE"}}
	serverTemplate.URIs = []*url.URL{{Scheme: "spiffe", Host: "example.org"}}
	var root, server *issuer
	chain := []*issuer{}
	if hasUpstream {
		root = issue(nil, authorityOf("upstream"), newKey(), 24*time.Hour)
		server = issue(root, serverTemplate, newKey(), 12*time.Hour)
		chain = append(chain, server)
	} else {
		server = issue(nil, serverTemplate, newKey(), 12*time.Hour)
		root = server
	}
	for _, name := range names {
		id := &url.URL{Scheme: "spiffe", Host: "example.org", Path: "/member/" + name}
		member := issue(server, &x509.Certificate{
			Subject: pkix.Name{Country: []string{"US"}, Organization: []string{"SPIRE"}},
			KeyUsage: x509.KeyUsageKeyEncipherment | x509.KeyUsageKeyAgreement |
				x509.KeyUsageDigitalSignature,
			ExtKeyUsage: bothUses,
			URIs:        []*url.URL{id},
		}, newKey(), time.Hour)
		folder := filepath.Join(directory, name)
		write(folder, "ca.pem", root)
		write(folder, "cert.pem", append([]*issuer{member}, chain...)...)
		writeKey(folder, "key.pem", member.key, false)
	}
}

func authorityOf(commonName string) *x509.Certificate {
	return &x509.Certificate{
		Subject:  pkix.Name{CommonName: commonName},
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
		IsCA:     true,
	}
}

func issue(by *issuer, template *x509.Certificate, key crypto.Signer, life time.Duration) *issuer {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 128))
	check(err)
	template.SerialNumber = serial
	template.NotBefore = time.Now().Add(-10 * time.Second)
	template.NotAfter = time.Now().Add(life)
	template.BasicConstraintsValid = true
	if by == nil {
		by = &issuer{template, key}
	}
	encoded, err := x509.CreateCertificate(rand.Reader, template, by.certificate, key.Public(), by.key)
	check(err)
	certificate, err := x509.ParseCertificate(encoded)
	check(err)
	return &issuer{certificate, key}
}

var kinds = map[string]func() crypto.Signer{
	"p256":    ecdsaKey(elliptic.P256()),
	"p384":    ecdsaKey(elliptic.P384()),
	"p521":    ecdsaKey(elliptic.P521()),
	"ed25519": func() crypto.Signer { _, key, err := ed25519.GenerateKey(rand.Reader); check(err); return key },
	"rsa2048": rsaKey(2048),
	"rsa4096": rsaKey(4096),
}

func ecdsaKey(curve elliptic.Curve) func() crypto.Signer {
	return func() crypto.Signer {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		check(err)
		return key
	}
}

// One key of each size: they take seconds to make.
func rsaKey(bits int) func() crypto.Signer {
	var made crypto.Signer
	return func() crypto.Signer {
		if made == nil {
			key, err := rsa.GenerateKey(rand.Reader, bits)
			check(err)
			made = key
		}
		return made
	}
}

func write(folder, file string, chain ...*issuer) {
	check(os.MkdirAll(folder, 0o755))
	var text []byte
	for _, link := range chain {
		block := &pem.Block{Type: "CERTIFICATE", Bytes: link.certificate.Raw}
		text = append(text, pem.EncodeToMemory(block)...)
	}
	check(os.WriteFile(filepath.Join(folder, file), text, 0o644))
}

func writeKey(folder, file string, key crypto.Signer, traditional bool) {
	block := &pem.Block{Type: "PRIVATE KEY"}
	var err error
	switch key := key.(type) {
	case *ecdsa.PrivateKey:
		if traditional {
			block.Type = "EC PRIVATE KEY"
			block.Bytes, err = x509.MarshalECPrivateKey(key)
		}
	case *rsa.PrivateKey:
		if traditional {
			block.Type = "RSA PRIVATE KEY"
			block.Bytes = x509.MarshalPKCS1PrivateKey(key)
		}
	}
	if block.Bytes == nil && err == nil {
		block.Bytes, err = x509.MarshalPKCS8PrivateKey(key)
	}
	check(err)
	check(os.WriteFile(filepath.Join(folder, file), pem.EncodeToMemory(block), 0o600))
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
