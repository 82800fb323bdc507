package main

import (
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"testing"
)

func TestCertificatesLookLikeTLSUtils(t *testing.T) {
	directory := t.TempDir()
	if err := writeCertificates(directory, "ada", []net.IP{net.IPv4(10, 0, 0, 1)}); err != nil {
		t.Fatal(err)
	}
	leaf := parse(t, directory, "ada.pem")
	if leaf.Subject.CommonName != "ada" || len(leaf.DNSNames) != 0 ||
		len(leaf.IPAddresses) != 1 || len(leaf.ExtKeyUsage) != 2 {
		t.Errorf("subject %v, names %v, addresses %v, usages %v",
			leaf.Subject, leaf.DNSNames, leaf.IPAddresses, leaf.ExtKeyUsage)
	}
	authority := parse(t, directory, "ca.pem")
	if !authority.IsCA || authority.Subject.String() != "O="+organization {
		t.Errorf("authority %v", authority.Subject)
	}
	for _, name := range []string{"ada.key", "ca.key"} {
		block, err := readPEM(filepath.Join(directory, name))
		if err != nil || block.Type != "EC PRIVATE KEY" {
			t.Errorf("%s: %v, %v", name, block, err)
		}
		status, err := os.Stat(filepath.Join(directory, name))
		if err != nil || status.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", name, status.Mode(), err)
		}
	}
}

func TestAuthorityOfAnotherProgramIsUsed(t *testing.T) {
	directory := t.TempDir()
	if err := writeCertificates(directory, "ada", nil); err != nil {
		t.Fatal(err)
	}
	keyPath := filepath.Join(directory, "ca.key")
	key, err := readKey(keyPath)
	if err != nil {
		t.Fatal(err)
	}
	other, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := writePEM(keyPath, "PRIVATE KEY", other, 0o600); err != nil {
		t.Fatal(err)
	}
	before := parse(t, directory, "ca.pem")
	if err := writeCertificates(directory, "bob", nil); err != nil {
		t.Fatal(err)
	}
	if !parse(t, directory, "ca.pem").Equal(before) {
		t.Error("the authority was replaced")
	}
	if err := parse(t, directory, "bob.pem").CheckSignatureFrom(before); err != nil {
		t.Error(err)
	}
	if err := os.Remove(keyPath); err != nil {
		t.Fatal(err)
	}
	if err := writeCertificates(directory, "cyd", nil); err == nil {
		t.Error("a certificate was made without the authority's key")
	}
}

func parse(t *testing.T, directory, name string) *x509.Certificate {
	t.Helper()
	block, err := readPEM(filepath.Join(directory, name))
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}
