// One TLS handshake with Go's crypto/tls, as memberlist-quic sets it up: TLS 1.3, certificates on both
// sides, the dialed address as server name. Sends or answers one byte, and says how it went.
//
//	handshake accept CA CERT KEY
//	handshake dial CA CERT KEY ADDRESS
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Println("refused:", err)
		os.Exit(1)
	}
	fmt.Println("accepted")
}

func run(arguments []string) error {
	authority, err := os.ReadFile(arguments[1])
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		return fmt.Errorf("%s: no certificate in it", arguments[1])
	}
	identity, err := tls.LoadX509KeyPair(arguments[2], arguments[3])
	if err != nil {
		return err
	}
	config := &tls.Config{
		Certificates: []tls.Certificate{identity},
		RootCAs:      roots,
		ClientCAs:    roots,
		ClientAuth:   tls.RequireAndVerifyClientCert,
		MinVersion:   tls.VersionTLS13,
	}
	deadline := time.Now().Add(20 * time.Second)
	if arguments[0] == "accept" {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		fmt.Println(listener.Addr())
		accepted, err := listener.Accept()
		if err != nil {
			return err
		}
		connection := tls.Server(accepted, config)
		_ = connection.SetDeadline(deadline)
		_, err = io.CopyN(connection, connection, 1)
		_ = connection.Close()
		return err
	}
	dialed, err := net.Dial("tcp", arguments[4])
	if err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(arguments[4])
	if err != nil {
		return err
	}
	config.ServerName = host
	connection := tls.Client(dialed, config)
	_ = connection.SetDeadline(deadline)
	if _, err := connection.Write([]byte("?")); err != nil {
		return err
	}
	answer := make([]byte, 1)
	_, err = io.ReadFull(connection, answer)
	return err
}
