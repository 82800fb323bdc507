package main

import (
	"fmt"
	"io"
	"log"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	leaveTimeout = 5 * time.Second
	joinRetry    = time.Second
)

// peer is one running member: memberlist, its transport, and what it reports.
type peer struct {
	options   *options
	report    *reporter
	transport *quicTransport
	list      *memberlist.Memberlist
	keyring   *memberlist.Keyring
	// view is for handlers, which memberlist calls before Create has returned.
	view  atomic.Pointer[tableView]
	queue *memberlist.TransmitLimitedQueue

	mutex sync.Mutex
	meta  []byte
	state []byte

	leaveOnce sync.Once
	leaveErr  error
	quitting  chan struct{}
	quitOnce  sync.Once
}

// newPeer starts a member and reports it ready.
func newPeer(o *options, report *reporter, logs io.Writer) (*peer, error) {
	tlsConfig, err := mutualTLS(o.certificates, o.name)
	if err != nil {
		return nil, badInput{fmt.Errorf("--certs: %w", err)}
	}
	config, err := o.config()
	if err != nil {
		return nil, badInput{err}
	}
	logger := log.New(logs, "", log.LstdFlags|log.Lmicroseconds)
	transport, err := newTransport(transportConfig{
		bind: o.bind,
		tls:  tlsConfig,
		debug: func(format string, arguments ...any) {
			logger.Printf("[DEBUG] go-peer: "+format, arguments...)
		},
		deaf: func(why string, lasted time.Duration) {
			report.event("deaf", fields{"why": why, "ms": lasted.Milliseconds()})
		},
	})
	if err != nil {
		return nil, err
	}
	p := &peer{
		options:   o,
		report:    report,
		transport: transport,
		keyring:   config.Keyring,
		quitting:  make(chan struct{}),
	}
	p.setMeta(o.meta)
	p.queue = &memberlist.TransmitLimitedQueue{
		NumNodes:       p.aliveCount,
		RetransmitMult: o.broadcastTransmits,
	}
	config.Transport = transport
	config.BindAddr = o.bind.IP.String()
	config.BindPort = transport.boundAddress().Port
	config.Logger = logger
	config.Delegate = p
	config.Events = p
	config.Conflict = p
	if p.list, err = memberlist.Create(config); err != nil {
		_ = transport.Shutdown()
		return nil, err
	}
	view := newTableView(p.list)
	if !view.known {
		logger.Printf("[WARN] go-peer: unknown memberlist version: member states are guesses")
	}
	p.view.Store(view)
	report.event("ready", fields{"pid": os.Getpid()}.putNode(p.list.LocalNode()))
	for _, address := range o.join {
		go p.keepJoining(address)
	}
	return p, nil
}

// keepJoining tries one seed until it has answered once. memberlist's own Join gives up at once.
func (p *peer) keepJoining(address string) {
	for {
		_, err := p.list.Join([]string{address})
		seed := fields{"addr": address, "ok": err == nil}
		if err != nil {
			seed["error"] = err.Error()
		}
		p.report.event("seed", seed)
		if err == nil {
			return
		}
		select {
		case <-time.After(joinRetry):
		case <-p.quitting:
			return
		}
	}
}

// leave tells the others once, however often it is called.
func (p *peer) leave() error {
	p.leaveOnce.Do(func() { p.leaveErr = p.list.Leave(leaveTimeout) })
	return p.leaveErr
}

// quit leaves if need be and shuts everything down.
func (p *peer) quit() {
	p.quitOnce.Do(func() {
		close(p.quitting)
		_ = p.leave()
		_ = p.list.Shutdown()
	})
}

func (p *peer) aliveCount() int {
	view := p.view.Load()
	if view == nil {
		return 1
	}
	return view.list.NumMembers()
}

// NotifyJoin reports a member that appeared or came back.
func (p *peer) NotifyJoin(node *memberlist.Node) { p.memberEvent("join", node) }

// NotifyUpdate reports changed metadata.
func (p *peer) NotifyUpdate(node *memberlist.Node) { p.memberEvent("update", node) }

func (p *peer) memberEvent(name string, node *memberlist.Node) {
	if node.Name == p.options.name {
		return
	}
	p.report.event(name, fields{}.putNode(node).putBytes("meta", "meta_hex", node.Meta))
}

// NotifyLeave reports a death as `fail` and a departure as `leave`. Both wear "go": true, since
// memberlist does not say which it was; without the view everything is a `leave`.
func (p *peer) NotifyLeave(node *memberlist.Node) {
	if node.Name == p.options.name {
		return
	}
	name := "leave"
	if view := p.view.Load(); view != nil {
		if state, known := view.stateOf(node.Name); known && state == memberlist.StateDead {
			name = "fail"
		}
	}
	p.report.event(name, fields{"go": true}.putNode(node))
}

// NotifyConflict reports that another address claims a member's name.
func (p *peer) NotifyConflict(existing, other *memberlist.Node) {
	p.report.event("conflict", fields{"other": addressOf(other)}.putNode(existing))
}

// NodeMeta is asked for whenever memberlist announces this member.
func (p *peer) NodeMeta(int) []byte {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.meta
}

func (p *peer) setMeta(meta []byte) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.meta = meta
	if len(meta) == 0 {
		// Empty and nil differ on the wire; Go members without metadata announce nil.
		p.meta = nil
	}
}

// NotifyMsg reports a user message. memberlist does not say from whom, so `from` is null.
func (p *peer) NotifyMsg(message []byte) {
	body := fields{"from": nil, "reliable": cameByStream(), "len": len(message)}
	p.report.event("msg", body.putBytes("text", "hex", message))
}

// cameByStream looks at who called NotifyMsg, as the delegate is told nothing of the way that a
// message took: readUserMsg serves streams, handleUser packets.
func cameByStream() bool {
	var callers [4]uintptr
	frames := runtime.CallersFrames(callers[:runtime.Callers(3, callers[:])])
	for {
		frame, more := frames.Next()
		if strings.HasSuffix(frame.Function, ".readUserMsg") {
			return true
		}
		if !more {
			return false
		}
	}
}

// GetBroadcasts fills what room memberlist's own gossip has left.
func (p *peer) GetBroadcasts(overhead, limit int) [][]byte {
	return p.queue.GetBroadcasts(overhead, limit)
}

// LocalState is what the command `state` has set; empty before.
func (p *peer) LocalState(bool) []byte {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.state
}

func (p *peer) setState(state []byte) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.state = state
}

// MergeRemoteState reports the state that another member's application has added.
func (p *peer) MergeRemoteState(state []byte, join bool) {
	body := fields{"join": join, "len": len(state)}
	p.report.event("state", body.putBytes("text", "hex", state))
}

// broadcast is a user message on its way to everybody.
type broadcast []byte

// Invalidates is false: each message stands for itself.
func (b broadcast) Invalidates(memberlist.Broadcast) bool { return false }

// Message is what goes out.
func (b broadcast) Message() []byte { return b }

// Finished is of no interest here.
func (b broadcast) Finished() {}

// UniqueBroadcast spares the queue a search for what this message replaces.
func (b broadcast) UniqueBroadcast() {}
