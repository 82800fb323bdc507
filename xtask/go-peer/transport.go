package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/quic-go/quic-go"
)

const (
	// alpn is what memberlist-quic v0.1.1 speaks, as dialer and as acceptor.
	alpn = "memberlist-quic/1"

	packetQueueSize = 256
	streamQueueSize = 16
	maxIdleTimeout  = 30 * time.Second
	keepAlivePeriod = 10 * time.Second
	sweepInterval   = 30 * time.Second
)

// transportConfig is what a quicTransport needs to know.
type transportConfig struct {
	bind  *net.UDPAddr
	tls   *tls.Config
	debug func(format string, arguments ...any)
	// deaf is told of each time in which memberlist did not hear or was not heard: every second
	// while it lasts, since the peer may be killed meanwhile, and at its end.
	deaf func(why string, lasted time.Duration)
}

// deafAfter is how long a dial blocks, or a packet waits for memberlist, before that is
// reported: half of memberlist's default probe timeout, after which a prober asks others.
const deafAfter = 250 * time.Millisecond

// reportInterval is how often a wait that is not over is reported.
const reportInterval = time.Second

// quicTransport carries memberlist over QUIC the way memberlist-quic v0.1.1 does.
//
// It mirrors the original's faults on purpose, since interop tests are there to prove that a
// peer lives with them. Each is marked "Mirrored" where it happens. In all error paths the
// errors are quic-go's or plain ones, never *net.OpError: memberlist counts only the latter as
// a sign of a failed node, so a member that closes politely without leaving is never suspected.
type quicTransport struct {
	debug func(format string, arguments ...any)
	deaf  func(why string, lasted time.Duration)

	socket   *net.UDPConn
	quic     *quic.Transport
	listener *quic.Listener
	pool     *pool

	packets chan *memberlist.Packet
	// handled is what memberlist reads; relayPackets fills it and measures the wait.
	handled chan *memberlist.Packet
	streams chan net.Conn

	stop context.CancelFunc
	done context.Context
	once sync.Once

	counters counters
}

var _ memberlist.NodeAwareTransport = (*quicTransport)(nil)

// counters is what `stats` shows about a transport.
type counters struct {
	dialed, dialFailed, accepted  atomic.Int64
	datagramsOut, datagramsIn     atomic.Int64
	unisOut, unisIn               atomic.Int64
	streamsOut, streamsIn         atomic.Int64
	streamsRefused, sendsRefused  atomic.Int64
	packetBytesOut, packetBytesIn atomic.Int64
}

// newTransport binds the socket and starts to accept.
func newTransport(config transportConfig) (*quicTransport, error) {
	socket, err := net.ListenUDP("udp", config.bind)
	if err != nil {
		return nil, err
	}
	done, stop := context.WithCancel(context.Background())
	t := &quicTransport{
		debug:  config.debug,
		deaf:   config.deaf,
		socket: socket,
		// Mirrored: no StatelessResetKey, so a restart of this peer is noticed only by idle
		// timeout. Connection ids have quic-go's default of 4 bytes.
		quic:    &quic.Transport{Conn: socket},
		packets: make(chan *memberlist.Packet, packetQueueSize),
		handled: make(chan *memberlist.Packet),
		streams: make(chan net.Conn, streamQueueSize),
		stop:    stop,
		done:    done,
	}
	tlsConfig := config.tls.Clone()
	tlsConfig.NextProtos = []string{alpn}
	// Mirrored: quic-go's stream limits (100 of each kind) and no limit on connections.
	quicConfig := &quic.Config{
		MaxIdleTimeout:  maxIdleTimeout,
		KeepAlivePeriod: min(keepAlivePeriod, maxIdleTimeout/2),
		EnableDatagrams: true,
	}
	t.pool = newPool(done, func(address string) (*quic.Conn, error) {
		return t.dial(address, tlsConfig, quicConfig)
	})
	t.listener, err = t.quic.Listen(tlsConfig, quicConfig)
	if err != nil {
		stop()
		_ = socket.Close()
		return nil, fmt.Errorf("listen for QUIC: %w", err)
	}
	go t.acceptLoop()
	go t.relayPackets()
	go t.pool.sweepLoop(sweepInterval)
	return t, nil
}

// boundAddress is the real address of the socket.
func (t *quicTransport) boundAddress() *net.UDPAddr {
	return t.socket.LocalAddr().(*net.UDPAddr)
}

// dial opens a connection and starts to serve it.
//
// Mirrored: the only deadline is quic-go's own handshake timeout (5 s idle, 10 s total),
// whatever timeout memberlist asked for.
func (t *quicTransport) dial(
	address string, base *tls.Config, config *quic.Config,
) (*quic.Conn, error) {
	remote, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		return nil, fmt.Errorf("resolve %s: %v", address, err)
	}
	tlsConfig := base.Clone()
	// For an IP text Go sends no server name and checks the certificate's IP SANs.
	tlsConfig.ServerName = remote.IP.String()
	began := time.Now()
	ended := make(chan struct{})
	go t.reportWhile(ended, began)
	connection, err := t.quic.Dial(t.done, remote, tlsConfig, config)
	close(ended)
	t.reportDeaf("dial", began)
	if err != nil {
		t.counters.dialFailed.Add(1)
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	t.counters.dialed.Add(1)
	t.serve(connection)
	return connection, nil
}

// acceptLoop takes in connections, one at a time.
//
// Mirrored: adding to the pool waits for a dial to the same address, and with it every other
// newcomer; and when the socket fails, the loop spins.
func (t *quicTransport) acceptLoop() {
	for {
		connection, err := t.listener.Accept(t.done)
		if err != nil {
			if t.done.Err() != nil {
				return
			}
			continue
		}
		t.counters.accepted.Add(1)
		t.serve(connection)
		t.pool.addInbound(connection)
	}
}

// serve starts the three receivers that every connection has, whoever dialed it.
func (t *quicTransport) serve(connection *quic.Conn) {
	go t.receiveDatagrams(connection)
	go t.receiveUnis(connection)
	go t.receiveStreams(connection)
}

// FinalAdvertiseAddr says what to announce.
//
// An address that was configured is announced in 16-byte form, one that we found ourselves in
// 4-byte form. Mirrored: one that does not parse is silently ignored.
func (t *quicTransport) FinalAdvertiseAddr(ip string, port int) (net.IP, int, error) {
	if port == 0 {
		port = t.boundAddress().Port
	}
	if address := net.ParseIP(ip); address != nil {
		return address, port, nil
	}
	if bound := t.boundAddress().IP; !bound.IsUnspecified() {
		return shortest(bound), port, nil
	}
	interfaces, err := net.InterfaceAddrs()
	if err != nil {
		return nil, 0, fmt.Errorf("list interface addresses: %w", err)
	}
	for _, one := range interfaces {
		network, ok := one.(*net.IPNet)
		if ok && network.IP.To4() != nil && network.IP.IsPrivate() {
			return network.IP.To4(), port, nil
		}
	}
	return nil, 0, errors.New("no private IPv4 address to announce: give --advertise")
}

func shortest(ip net.IP) net.IP {
	if four := ip.To4(); four != nil {
		return four
	}
	return ip
}

// WriteTo sends one packet.
func (t *quicTransport) WriteTo(packet []byte, address string) (time.Time, error) {
	return t.WriteToAddress(packet, memberlist.Address{Addr: address})
}

// WriteToAddress sends one packet, dialing first where no connection is pooled.
//
// Mirrored: the caller (often memberlist's only packet handler) waits for the dial, and for
// room in quic-go's queue of 32 datagrams even when the peer has crashed.
func (t *quicTransport) WriteToAddress(
	packet []byte, address memberlist.Address,
) (time.Time, error) {
	connection, err := t.pool.getOrDial(address.Addr)
	if err != nil {
		return time.Time{}, err
	}
	if err := t.sendPacket(connection, packet); err != nil {
		t.counters.sendsRefused.Add(1)
		return time.Time{}, err
	}
	t.counters.packetBytesOut.Add(int64(len(packet)))
	return time.Now(), nil
}

// PacketCh is where arrived packets wait.
func (t *quicTransport) PacketCh() <-chan *memberlist.Packet { return t.handled }

// relayPackets hands packets to memberlist one by one and reports those that waited long: its
// only packet handler was busy, most often with a dial.
func (t *quicTransport) relayPackets() {
	var reported time.Time
	ticker := time.NewTicker(reportInterval)
	defer ticker.Stop()
	for {
		var packet *memberlist.Packet
		select {
		case packet = <-t.packets:
		case <-t.done.Done():
			return
		}
		for handled := false; !handled; {
			select {
			case t.handled <- packet:
				handled = true
			case <-ticker.C:
			case <-t.done.Done():
				return
			}
			// Those that queued behind it waited for the same handler: one report is enough.
			if time.Since(reported) >= deafAfter && t.reportDeaf("packet", packet.Timestamp) {
				reported = time.Now()
			}
		}
	}
}

// reportWhile reports a dial that is not over, now and then.
func (t *quicTransport) reportWhile(ended <-chan struct{}, began time.Time) {
	ticker := time.NewTicker(reportInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			t.reportDeaf("dial", began)
		case <-ended:
			return
		}
	}
}

// reportDeaf reports a wait that began then and ends now, and says whether it was long enough.
func (t *quicTransport) reportDeaf(why string, began time.Time) bool {
	lasted := time.Since(began)
	if lasted < deafAfter || t.deaf == nil {
		return false
	}
	t.deaf(why, lasted)
	return true
}

// DialTimeout opens a stream.
func (t *quicTransport) DialTimeout(address string, timeout time.Duration) (net.Conn, error) {
	return t.DialAddressTimeout(memberlist.Address{Addr: address}, timeout)
}

// DialAddressTimeout opens a stream, dialing first where no connection is pooled.
//
// Mirrored: the timeout is not used.
func (t *quicTransport) DialAddressTimeout(
	address memberlist.Address, _ time.Duration,
) (net.Conn, error) {
	connection, err := t.pool.getOrDial(address.Addr)
	if err != nil {
		return nil, err
	}
	// Mirrored: opening never waits for credit, so the 101st leaked stream on one connection is
	// an error ("too many open streams") until that connection dies.
	stream, err := connection.OpenStream()
	if err != nil {
		t.counters.streamsRefused.Add(1)
		return nil, fmt.Errorf("open stream to %s: %w", address.Addr, err)
	}
	t.counters.streamsOut.Add(1)
	return &streamConn{Stream: stream, connection: connection}, nil
}

// StreamCh is where arrived streams wait.
func (t *quicTransport) StreamCh() <-chan net.Conn { return t.streams }

// Shutdown closes the pooled connections and stops.
//
// Mirrored: the UDP socket stays open until the process ends, and connections outside the pool
// end without a word.
func (t *quicTransport) Shutdown() error {
	var err error
	t.once.Do(func() {
		t.stop()
		t.pool.closeAll("transport shutdown")
		err = t.quic.Close()
	})
	return err
}
