package main

import (
	"context"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
)

// pool knows which connection to use towards an address ("ip:port").
//
// The first one pooled under an address is used for as long as it lives. A second connection,
// be it from the peer or from a race of dials, is neither pooled nor closed: it is served until
// it is idle. Mirrored: so simultaneous dials keep both connections, and a peer that restarts on
// the same port is not heard of until the old connection's idle timeout.
type pool struct {
	done context.Context
	dial func(address string) (*quic.Conn, error)

	mutex       sync.Mutex
	connections map[string]*quic.Conn
	dialing     map[string]chan struct{}
}

func newPool(done context.Context, dial func(string) (*quic.Conn, error)) *pool {
	return &pool{
		done:        done,
		dial:        dial,
		connections: make(map[string]*quic.Conn),
		dialing:     make(map[string]chan struct{}),
	}
}

// getOrDial returns the live connection to an address, or makes one.
//
// Mirrored: whoever comes during a dial waits for its end, and after a failed one dials again
// for itself, so several sends to a dead address take two timeouts.
func (p *pool) getOrDial(address string) (*quic.Conn, error) {
	p.mutex.Lock()
	if connection := p.liveLocked(address); connection != nil {
		p.mutex.Unlock()
		return connection, nil
	}
	if ended, busy := p.dialing[address]; busy {
		p.mutex.Unlock()
		<-ended
		p.mutex.Lock()
		connection := p.liveLocked(address)
		p.mutex.Unlock()
		if connection != nil {
			return connection, nil
		}
		return p.dialAndStore(address)
	}
	ended := make(chan struct{})
	p.dialing[address] = ended
	p.mutex.Unlock()

	connection, err := p.dialAndStore(address)

	p.mutex.Lock()
	delete(p.dialing, address)
	p.mutex.Unlock()
	close(ended)
	return connection, err
}

func (p *pool) dialAndStore(address string) (*quic.Conn, error) {
	connection, err := p.dial(address)
	if err != nil {
		return nil, err
	}
	return p.store(address, connection), nil
}

// addInbound pools an accepted connection under the address that it came from.
func (p *pool) addInbound(connection *quic.Conn) {
	address := connection.RemoteAddr().String()
	p.mutex.Lock()
	ended, busy := p.dialing[address]
	p.mutex.Unlock()
	if busy {
		<-ended
	}
	p.store(address, connection)
}

// store pools a connection unless a live one is there, and returns the one that is pooled.
func (p *pool) store(address string, connection *quic.Conn) *quic.Conn {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if pooled := p.liveLocked(address); pooled != nil {
		return pooled
	}
	p.connections[address] = connection
	return connection
}

func (p *pool) liveLocked(address string) *quic.Conn {
	connection := p.connections[address]
	if connection == nil || connection.Context().Err() != nil {
		return nil
	}
	return connection
}

// size counts the live pooled connections.
func (p *pool) size() int {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	count := 0
	for address := range p.connections {
		if p.liveLocked(address) != nil {
			count++
		}
	}
	return count
}

// sweepLoop forgets dead connections from time to time.
func (p *pool) sweepLoop(interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			p.sweep()
		case <-p.done.Done():
			return
		}
	}
}

func (p *pool) sweep() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for address := range p.connections {
		if p.liveLocked(address) == nil {
			delete(p.connections, address)
		}
	}
}

func (p *pool) closeAll(reason string) {
	p.mutex.Lock()
	pooled := p.connections
	p.connections = make(map[string]*quic.Conn)
	p.mutex.Unlock()
	for _, connection := range pooled {
		_ = connection.CloseWithError(0, reason)
	}
}
