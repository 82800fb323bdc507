package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/quic-go/quic-go"
)

// maxUniPacket bounds the packet that a receiver takes from a unidirectional stream.
const maxUniPacket = 65536

// streamConn lets memberlist use a QUIC stream as a net.Conn.
//
// Mirrored: Close, which comes from quic.Stream, finishes only our sending side. Nobody reads
// what may follow, so quic-go never sees the end of a stream whose FIN comes late, and the
// opener does not get its credit back.
type streamConn struct {
	*quic.Stream
	connection *quic.Conn
}

var _ net.Conn = (*streamConn)(nil)

// LocalAddr is the address of our socket.
func (s *streamConn) LocalAddr() net.Addr { return s.connection.LocalAddr() }

// RemoteAddr is the peer's UDP address.
func (s *streamConn) RemoteAddr() net.Addr { return s.connection.RemoteAddr() }

// sendPacket sends a packet as one datagram where it fits, else as one unidirectional stream.
func (t *quicTransport) sendPacket(connection *quic.Conn, packet []byte) error {
	if connection.ConnectionState().SupportsDatagrams.Remote {
		err := connection.SendDatagram(packet)
		if err == nil {
			t.counters.datagramsOut.Add(1)
			return nil
		}
		var tooLarge *quic.DatagramTooLargeError
		if !errors.As(err, &tooLarge) {
			return fmt.Errorf("send datagram to %s: %w", connection.RemoteAddr(), err)
		}
	}
	if err := sendUni(connection, packet); err != nil {
		return fmt.Errorf("send packet stream to %s: %w", connection.RemoteAddr(), err)
	}
	t.counters.unisOut.Add(1)
	return nil
}

// sendUni writes `u32 length | packet | FIN` on a stream of its own.
//
// Mirrored: a packet above maxUniPacket is sent all the same, and vanishes at the receiver. The
// sender hears of it only when the receiver's refusal overtakes the last bytes.
func sendUni(connection *quic.Conn, packet []byte) error {
	stream, err := connection.OpenUniStream()
	if err != nil {
		return err
	}
	framed := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(packet)), uint32(len(packet)))
	framed = append(framed, packet...)
	if _, err := stream.Write(framed); err != nil {
		stream.CancelWrite(0)
		return err
	}
	return stream.Close()
}

func (t *quicTransport) receiveDatagrams(connection *quic.Conn) {
	for {
		packet, err := connection.ReceiveDatagram(t.done)
		if err != nil {
			t.debug("connection %s ended: %v", connection.RemoteAddr(), err)
			return
		}
		t.counters.datagramsIn.Add(1)
		if !t.deliver(packet, connection) {
			return
		}
	}
}

func (t *quicTransport) receiveUnis(connection *quic.Conn) {
	for {
		stream, err := connection.AcceptUniStream(t.done)
		if err != nil {
			return
		}
		// Mirrored: no deadline, so half-sent streams are held for as long as their connection.
		go t.receiveUni(connection, stream)
	}
}

// receiveUni takes one packet from a stream. What is too long, empty or cut short is ignored.
func (t *quicTransport) receiveUni(connection *quic.Conn, stream *quic.ReceiveStream) {
	defer stream.CancelRead(0)
	var header [4]byte
	if _, err := io.ReadFull(stream, header[:]); err != nil {
		return
	}
	length := binary.BigEndian.Uint32(header[:])
	if length == 0 || length > maxUniPacket {
		return
	}
	packet := make([]byte, length)
	if _, err := io.ReadFull(stream, packet); err != nil {
		return
	}
	t.counters.unisIn.Add(1)
	t.deliver(packet, connection)
}

func (t *quicTransport) receiveStreams(connection *quic.Conn) {
	for {
		stream, err := connection.AcceptStream(t.done)
		if err != nil {
			return
		}
		t.counters.streamsIn.Add(1)
		select {
		case t.streams <- &streamConn{Stream: stream, connection: connection}:
		case <-t.done.Done():
			return
		}
	}
}

// deliver queues a packet for memberlist. A full queue blocks this connection's reader.
func (t *quicTransport) deliver(packet []byte, connection *quic.Conn) bool {
	t.counters.packetBytesIn.Add(int64(len(packet)))
	arrived := &memberlist.Packet{
		Buf:       packet,
		From:      connection.RemoteAddr(),
		Timestamp: time.Now(),
	}
	select {
	case t.packets <- arrived:
		return true
	case <-t.done.Done():
		return false
	}
}
