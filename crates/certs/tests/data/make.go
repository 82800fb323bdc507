// Makes go-ca.pem, go.pem and go.key as memberlist-quic's certificate helpers do, and go-any.*
// without alternative names, as its simplest helper does.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"time"
)

func main() {
	start := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	end := time.Date(2120, 1, 1, 0, 0, 0, 0, time.UTC)
	authorityKey := key()
	authority := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{Organization: []string{"Example"}},
		NotBefore:             start,
		NotAfter:              end,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	write("go-ca.pem", "CERTIFICATE", sign(authority, authority, authorityKey, authorityKey))
	for name, addresses := range map[string][]net.IP{"go": {net.IPv4(10, 0, 0, 1)}, "go-any": nil} {
		memberKey := key()
		member := &x509.Certificate{
			SerialNumber: serial(),
			Subject:      pkix.Name{CommonName: "ada"},
			NotBefore:    start,
			NotAfter:     end,
			KeyUsage:     x509.KeyUsageDigitalSignature,
			ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
			IPAddresses:  addresses,
		}
		encoded, err := x509.MarshalECPrivateKey(memberKey)
		check(err)
		write(name+".pem", "CERTIFICATE", sign(member, authority, memberKey, authorityKey))
		write(name+".key", "EC PRIVATE KEY", encoded)
	}
}

func key() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	return key
}

func serial() *big.Int {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 128))
	check(err)
	return serial
}

func sign(certificate, parent *x509.Certificate, subject, issuer *ecdsa.PrivateKey) []byte {
	encoded, err := x509.CreateCertificate(rand.Reader, certificate, parent, &subject.PublicKey, issuer)
	check(err)
	return encoded
}

func write(file, kind string, encoded []byte) {
	block := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: encoded})
	check(os.WriteFile(file, block, 0o600))
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
