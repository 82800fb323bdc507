package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	organization  = "go-peer"
	authorityLife = 10 * 365 * 24 * time.Hour
	nodeLife      = 365 * 24 * time.Hour
	// clockSkew lets peers whose clocks are a little behind accept a fresh certificate.
	clockSkew = time.Minute
)

// writeCertificates makes DIR/NAME.pem and DIR/NAME.key as memberlist-quic's tlsutil does: ECDSA
// P-256, CN = node id, both extended key usages, the addresses as IP SANs and no DNS name.
// Without addresses the certificate has no SAN at all, and Go peers refuse to dial it.
//
// An authority in DIR is used, whoever made it; else one is made with nothing but an
// organization in its subject.
func writeCertificates(directory, name string, addresses []net.IP) error {
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return err
	}
	authority, authorityKey, err := loadOrMakeAuthority(directory)
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template, err := newTemplate(pkix.Name{CommonName: name}, nodeLife)
	if err != nil {
		return err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	template.IPAddresses = addresses
	leaf, err := x509.CreateCertificate(rand.Reader, template, authority, key.Public(), authorityKey)
	if err != nil {
		return fmt.Errorf("sign the certificate of %s: %w", name, err)
	}
	if err := writeKey(filepath.Join(directory, name+".key"), key); err != nil {
		return err
	}
	return writePEM(filepath.Join(directory, name+".pem"), "CERTIFICATE", leaf, 0o644)
}

func loadOrMakeAuthority(directory string) (*x509.Certificate, crypto.Signer, error) {
	certificatePath := filepath.Join(directory, "ca.pem")
	keyPath := filepath.Join(directory, "ca.key")
	_, err := os.Stat(certificatePath)
	if errors.Is(err, fs.ErrNotExist) {
		return makeAuthority(certificatePath, keyPath)
	}
	if err != nil {
		return nil, nil, err
	}
	block, err := readPEM(certificatePath)
	if err != nil {
		return nil, nil, err
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", certificatePath, err)
	}
	key, err := readKey(keyPath)
	if err != nil {
		return nil, nil, fmt.Errorf("the authority's key: %w", err)
	}
	return certificate, key, nil
}

func makeAuthority(certificatePath, keyPath string) (*x509.Certificate, crypto.Signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template, err := newTemplate(pkix.Name{Organization: []string{organization}}, authorityLife)
	if err != nil {
		return nil, nil, err
	}
	template.IsCA = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, err
	}
	if err := writeKey(keyPath, key); err != nil {
		return nil, nil, err
	}
	return certificate, key, writePEM(certificatePath, "CERTIFICATE", der, 0o644)
}

func newTemplate(subject pkix.Name, life time.Duration) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		SerialNumber:          serial,
		Subject:               subject,
		NotBefore:             time.Now().Add(-clockSkew),
		NotAfter:              time.Now().Add(life),
		BasicConstraintsValid: true,
	}, nil
}

func writeKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return writePEM(path, "EC PRIVATE KEY", der, 0o600)
}

func writePEM(path, kind string, der []byte, mode os.FileMode) error {
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(path, text, mode); err != nil {
		return err
	}
	// WriteFile leaves the mode of a file that was there already.
	return os.Chmod(path, mode)
}

func readPEM(path string) (*pem.Block, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s: no PEM block", path)
	}
	return block, nil
}

// readKey accepts SEC1 and PKCS#8, since authorities are made by other programs as well.
func readKey(path string) (crypto.Signer, error) {
	block, err := readPEM(path)
	if err != nil {
		return nil, err
	}
	if block.Type == "EC PRIVATE KEY" {
		key, err := x509.ParseECPrivateKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%s: %T cannot sign", path, key)
	}
	return signer, nil
}

// mutualTLS is TLS 1.3 with certificates on both sides, all from one authority. Mirrored: names
// are not looked at, so any certificate of that authority may claim to be any member.
func mutualTLS(directory, name string) (*tls.Config, error) {
	identity, err := tls.LoadX509KeyPair(
		filepath.Join(directory, name+".pem"), filepath.Join(directory, name+".key"))
	if err != nil {
		return nil, err
	}
	authorityPath := filepath.Join(directory, "ca.pem")
	text, err := os.ReadFile(authorityPath)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: no certificate in it", authorityPath)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{identity},
		RootCAs:      roots,
		ClientCAs:    roots,
		ClientAuth:   tls.RequireAndVerifyClientCert,
		MinVersion:   tls.VersionTLS13,
	}, nil
}

func parseAddresses(list string) ([]net.IP, error) {
	var addresses []net.IP
	for text := range strings.SplitSeq(list, ",") {
		if text == "" {
			continue
		}
		address := net.ParseIP(text)
		if address == nil {
			return nil, fmt.Errorf("--ip: %q is not an IP address", text)
		}
		addresses = append(addresses, address)
	}
	return addresses, nil
}
