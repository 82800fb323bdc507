package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
)

func TestPacketsTakeADatagramOrAStreamOfTheirOwn(t *testing.T) {
	ada, bob := pair(t)
	for _, size := range []int{1, 1200, 2000, maxUniPacket} {
		sent := bytes.Repeat([]byte{byte(size)}, size)
		if _, err := ada.WriteTo(sent, bob.address()); err != nil {
			t.Fatal(err)
		}
		got := nextPacket(t, bob)
		if !bytes.Equal(got.Buf, sent) || got.From.String() != ada.address() {
			t.Errorf("%d bytes arrived as %d bytes from %s", size, len(got.Buf), got.From)
		}
	}
	datagrams, unis := bob.counters.datagramsIn.Load(), bob.counters.unisIn.Load()
	if datagrams != 2 || unis != 2 {
		t.Errorf("%d came as datagrams and %d as streams", datagrams, unis)
	}
	// The answer goes back on the connection that brought the question.
	if _, err := bob.WriteTo([]byte("back"), ada.address()); err != nil {
		t.Fatal(err)
	}
	nextPacket(t, ada)
	if bob.counters.dialed.Load() != 0 {
		t.Error("bob dialed although ada had")
	}
}

func TestOversizedPacketNeverArrives(t *testing.T) {
	ada, bob := pair(t)
	// Whether this is an error depends on who is faster.
	_, _ = ada.WriteTo(make([]byte, maxUniPacket+1), bob.address())
	if _, err := ada.WriteTo([]byte("after"), bob.address()); err != nil {
		t.Fatal(err)
	}
	if got := nextPacket(t, bob); string(got.Buf) != "after" {
		t.Errorf("%d bytes arrived", len(got.Buf))
	}
	if unis := bob.counters.unisIn.Load(); unis != 0 {
		t.Errorf("%d packets were taken from streams", unis)
	}
}

func TestLateFINCostsTheStreamsCredit(t *testing.T) {
	ada, bob := pair(t)
	go func() {
		for {
			select {
			case stream := <-bob.StreamCh():
				// As memberlist does: read the request, answer, close, never read on.
				_, _ = io.ReadFull(stream, make([]byte, len("request")))
				_, _ = stream.Write([]byte("reply"))
				_ = stream.Close()
			case <-bob.done.Done():
				return
			}
		}
	}()
	for exchange := range 100 {
		stream, err := ada.DialTimeout(bob.address(), time.Second)
		if err != nil {
			t.Fatalf("exchange %d: %v", exchange, err)
		}
		_, _ = stream.Write([]byte("request"))
		if _, err := io.ReadFull(stream, make([]byte, len("reply"))); err != nil {
			t.Fatalf("exchange %d: %v", exchange, err)
		}
		_ = stream.Close()
	}
	_, err := ada.DialTimeout(bob.address(), time.Second)
	if err == nil || !strings.Contains(err.Error(), "too many open streams") {
		t.Errorf("the 101st stream: %v", err)
	}
}

func TestFailedDialIgnoresTheTimeoutAndIsNoOpError(t *testing.T) {
	t.Parallel()
	ada := newTestTransport(t, "ada", "127.0.0.1")
	silent, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	var blocked time.Duration
	reports := make(chan time.Duration, 32)
	ada.deaf = func(_ string, lasted time.Duration) { reports <- lasted }
	began := time.Now()
	_, err = ada.DialTimeout(silent.LocalAddr().String(), time.Millisecond)
	if took := time.Since(began); took < 4*time.Second {
		t.Errorf("gave up after %v", took)
	}
	count := len(reports)
	for range count {
		blocked = <-reports
	}
	if count < 4 || blocked < 4*time.Second {
		t.Errorf("reported %d times as deaf, for %v", count, blocked)
	}
	var operation *net.OpError
	if err == nil || errors.As(err, &operation) {
		t.Errorf("the error is %v", err)
	}
}

func TestOneWaitOfManyPacketsIsReportedOnceAndPromptOnesAreNot(t *testing.T) {
	transport := newTestTransport(t, "ada", "127.0.0.1")
	reports := make(chan string, packetQueueSize)
	transport.deaf = func(why string, _ time.Duration) { reports <- why }
	queue := func(waited time.Duration) {
		transport.packets <- &memberlist.Packet{Timestamp: time.Now().Add(-waited)}
	}
	queue(0)
	nextPacket(t, transport)
	for range 5 {
		queue(deafAfter * 2)
	}
	for range 5 {
		nextPacket(t, transport)
	}
	queue(0)
	nextPacket(t, transport)
	if count := len(reports); count != 1 {
		t.Errorf("%d reports", count)
	}
	if why := <-reports; why != "packet" {
		t.Errorf("reported as %q", why)
	}
}

func TestDialerChecksTheAddressInTheCertificate(t *testing.T) {
	ada := newTestTransport(t, "ada", "127.0.0.1")
	for name, addresses := range map[string]string{"no-address": "", "other-address": "10.0.0.1"} {
		bob := newTestTransport(t, name, addresses)
		if _, err := ada.WriteTo([]byte("hello"), bob.address()); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestPoolKeepsTheFirstAndLeavesTheSecondOpen(t *testing.T) {
	ada, bob := pair(t)
	first, err := ada.pool.getOrDial(bob.address())
	if err != nil {
		t.Fatal(err)
	}
	second, err := ada.pool.dial(bob.address())
	if err != nil {
		t.Fatal(err)
	}
	if ada.pool.store(bob.address(), second) != first {
		t.Error("the second connection took the place of the first")
	}
	if err := second.SendDatagram([]byte("still served")); err != nil {
		t.Fatal(err)
	}
	if got := nextPacket(t, bob); string(got.Buf) != "still served" {
		t.Errorf("got %q", got.Buf)
	}
	_ = first.CloseWithError(0, "connection closed")
	if ada.pool.store(bob.address(), second) != second {
		t.Error("a dead connection kept its place")
	}
}

func TestAdvertisedAddressHasTheOriginalsForms(t *testing.T) {
	ada := newTestTransport(t, "ada", "127.0.0.1")
	own := ada.boundAddress().Port
	for _, c := range []struct {
		ip       string
		port     int
		length   int
		wantPort int
	}{
		{"", 0, net.IPv4len, own},
		{"10.0.0.9", 0, net.IPv6len, own},
		{"10.0.0.9", 7946, net.IPv6len, 7946},
		{"not an address", 0, net.IPv4len, own},
	} {
		ip, port, err := ada.FinalAdvertiseAddr(c.ip, c.port)
		if err != nil || len(ip) != c.length || port != c.wantPort {
			t.Errorf("%q:%d is announced as %v (%d bytes), port %d, %v",
				c.ip, c.port, ip, len(ip), port, err)
		}
	}
}

func pair(t *testing.T) (ada, bob *quicTransport) {
	t.Helper()
	return newTestTransport(t, "ada", "127.0.0.1"), newTestTransport(t, "bob", "127.0.0.1")
}

func (t *quicTransport) address() string { return t.boundAddress().String() }

func newTestTransport(t *testing.T, name, addresses string) *quicTransport {
	t.Helper()
	list, err := parseAddresses(addresses)
	if err != nil {
		t.Fatal(err)
	}
	certificates.Lock()
	defer certificates.Unlock()
	if err := writeCertificates(certificates.directory, name, list); err != nil {
		t.Fatal(err)
	}
	tlsConfig, err := mutualTLS(certificates.directory, name)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := newTransport(transportConfig{
		bind:  &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)},
		tls:   tlsConfig,
		debug: func(string, ...any) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = transport.Shutdown()
		_ = transport.socket.Close()
	})
	return transport
}

func nextPacket(t *testing.T, transport *quicTransport) *memberlist.Packet {
	t.Helper()
	select {
	case packet := <-transport.PacketCh():
		return packet
	case <-time.After(patience):
		t.Fatal("no packet came")
		return nil
	}
}
