package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/hashicorp/memberlist"
)

// eventQueueSize bounds the lines that wait for a slow reader of stdout. Beyond it memberlist
// itself waits: a lost line would look like a lost member.
const eventQueueSize = 8192

// fields is the body of one event or reply.
type fields map[string]any

// reporter writes one line per event. Lines that come before `ready` wait for it.
type reporter struct {
	json bool

	mutex sync.Mutex
	ready bool
	early []fields

	queue   chan []byte
	written chan struct{}
	once    sync.Once
}

func newReporter(out io.Writer, asJSON bool) *reporter {
	queue := make(chan []byte, eventQueueSize)
	r := &reporter{json: asJSON, queue: queue, written: make(chan struct{})}
	go func() {
		defer close(r.written)
		for line := range queue {
			_, _ = out.Write(line)
		}
	}()
	return r
}

// event reports something that happened.
func (r *reporter) event(name string, body fields) {
	body["ev"] = name
	body["ts"] = float64(time.Now().UnixMicro()) / 1e6
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if name == "ready" {
		r.ready = true
		r.enqueue(body)
		for _, earlier := range r.early {
			r.enqueue(earlier)
		}
		r.early = nil
		return
	}
	if !r.ready {
		r.early = append(r.early, body)
		return
	}
	r.enqueue(body)
}

// reply answers a command; a nil error means success.
func (r *reporter) reply(command string, body fields, err error) {
	if body == nil {
		body = fields{}
	}
	body["cmd"] = command
	body["ok"] = err == nil
	if err != nil {
		body["error"] = err.Error()
	}
	r.event("reply", body)
}

// enqueue runs under the mutex, which keeps lines in the order of their time stamps.
func (r *reporter) enqueue(body fields) {
	if r.queue == nil {
		return
	}
	r.queue <- r.line(body)
}

func (r *reporter) line(body fields) []byte {
	if r.json {
		line, err := json.Marshal(body)
		if err != nil {
			fmt.Fprintf(os.Stderr, "[ERR] go-peer: event %v: %v\n", body, err)
			return nil
		}
		return append(line, '\n')
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%v", body["ev"])
	names := make([]string, 0, len(body))
	for name := range body {
		if name != "ev" && name != "ts" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&text, " %s=%v", name, body[name])
	}
	text.WriteByte('\n')
	return []byte(text.String())
}

// close waits until all lines are written; later events are dropped.
func (r *reporter) close() {
	r.once.Do(func() {
		r.mutex.Lock()
		close(r.queue)
		r.queue = nil
		r.mutex.Unlock()
		<-r.written
	})
}

// putNode adds a member's name and address. A name that is not UTF-8 is shown with \xNN, and
// in hex beside it.
func (f fields) putNode(node *memberlist.Node) fields {
	f["node"] = readable(node.Name)
	if !utf8.ValidString(node.Name) {
		f["node_hex"] = hex.EncodeToString([]byte(node.Name))
	}
	f["addr"] = addressOf(node)
	return f
}

// putBytes adds bytes as text where they are text, else as hex under the second name.
func (f fields) putBytes(textName, hexName string, bytes []byte) fields {
	if utf8.Valid(bytes) {
		f[textName] = string(bytes)
	} else {
		f[hexName] = hex.EncodeToString(bytes)
	}
	return f
}

func addressOf(node *memberlist.Node) string {
	return (&net.UDPAddr{IP: node.Addr, Port: int(node.Port)}).String()
}

func readable(name string) string {
	if utf8.ValidString(name) {
		return name
	}
	var shown strings.Builder
	for len(name) > 0 {
		char, size := utf8.DecodeRuneInString(name)
		if char == utf8.RuneError && size == 1 {
			fmt.Fprintf(&shown, "\\x%02x", name[0])
		} else {
			shown.WriteRune(char)
		}
		name = name[size:]
	}
	return shown.String()
}
