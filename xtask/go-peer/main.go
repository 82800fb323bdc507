// Command go-peer is a Go memberlist member that tests drive over stdin and stdout.
//
// It exists to prove that members written in Rust share a cluster with Go ones: it speaks
// hashicorp/memberlist over QUIC, on the wire exactly as memberlist-quic v0.1.1 does, and takes
// the commands of the `node` example. See README.md.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const (
	exitFailure  = 1
	exitBadInput = 2

	maxCommandBytes  = 1 << 20
	commandQueueSize = 1024
)

// badInput marks an error that the user can mend.
type badInput struct{ error }

func main() {
	var err error
	switch {
	case len(os.Args) > 1 && os.Args[1] == "certs":
		err = runCerts(os.Args[2:])
	case len(os.Args) > 1 && os.Args[1] == "bench":
		err = runBench(os.Args[2:], os.Stdout)
	default:
		err = runPeer(os.Args[1:], os.Stdin, os.Stdout)
	}
	if err == nil {
		return
	}
	fmt.Fprintf(os.Stderr, "go-peer: %v\n", err)
	var bad badInput
	if errors.As(err, &bad) {
		os.Exit(exitBadInput)
	}
	os.Exit(exitFailure)
}

func runCerts(arguments []string) error {
	flags := flag.NewFlagSet("go-peer certs", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	directory := flags.String("dir", "", "where the files go")
	name := flags.String("name", "", "the member's name")
	ip := flags.String("ip", "", "IP addresses, comma separated; none makes a certificate without SAN")
	if err := flags.Parse(arguments); err != nil {
		return badInput{err}
	}
	if *directory == "" {
		return badInput{errors.New("certs: --dir is missing")}
	}
	if err := checkName(*name); err != nil {
		return badInput{err}
	}
	addresses, err := parseAddresses(*ip)
	if err != nil {
		return badInput{err}
	}
	return writeCertificates(*directory, *name, addresses)
}

// runPeer lives until quit, a signal, or the end of stdin where that was asked for.
func runPeer(arguments []string, in io.Reader, out io.Writer) error {
	o, err := parseOptions(arguments)
	if err != nil {
		return badInput{err}
	}
	// Before the peer reports ready, for tests that signal as soon as they see that.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)

	report := newReporter(out, o.json)
	defer report.close()
	p, err := newPeer(o, report, os.Stderr)
	if err != nil {
		return err
	}
	defer p.quit()
	lines := make(chan string, commandQueueSize)
	go readCommands(in, lines)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for line := range lines {
			if !p.run(line) {
				return
			}
		}
		if !o.exitOnEOF {
			select {}
		}
	}()
	select {
	case <-ended:
	case <-signals:
	}
	return nil
}

// readCommands hands lines on. `die` does not queue: it must work while another command blocks.
func readCommands(in io.Reader, lines chan<- string) {
	defer close(lines)
	scanner := bufio.NewScanner(in)
	scanner.Buffer(make([]byte, 0, 4096), maxCommandBytes)
	for scanner.Scan() {
		switch line := scanner.Text(); line {
		case "die":
			os.Exit(0)
		case "":
		default:
			lines <- line
		}
	}
	if err := scanner.Err(); err != nil {
		fmt.Fprintf(os.Stderr, "[ERR] go-peer: stdin: %v\n", err)
	}
}
