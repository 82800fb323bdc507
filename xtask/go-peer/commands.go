package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	// sendAlphabet has 64 letters, so that compression gains little.
	sendAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-"
	maxSendSize  = 16 << 20
	maxSendCount = 1_000_000
)

var errUsage = errors.New("malformed command")

// run executes one line and replies exactly once. It returns false when the peer is to end.
func (p *peer) run(line string) bool {
	command, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	body, err := p.execute(command, rest)
	p.report.reply(command, body, err)
	return command != "quit"
}

func (p *peer) execute(command, rest string) (fields, error) {
	switch command {
	case "join":
		return p.commandJoin(strings.Fields(rest))
	case "members":
		return fields{"members": p.memberLines()}, nil
	case "meta":
		return nil, p.commandMeta(rest)
	case "state":
		p.setState([]byte(rest))
		return nil, nil
	case "send":
		return p.commandSend(rest, p.list.SendBestEffort)
	case "sendr":
		return p.commandSend(rest, p.list.SendReliable)
	case "sendn":
		return p.commandSendMany(rest, p.list.SendBestEffort)
	case "sendrn":
		return p.commandSendMany(rest, p.list.SendReliable)
	case "bcast":
		p.queue.QueueBroadcast(broadcast(rest))
		return nil, nil
	case "ping":
		return p.commandPing(rest)
	case "keys", "key-add", "key-use", "key-remove":
		return p.commandKeys(command, rest)
	case "stats":
		return p.commandStats(), nil
	case "leave":
		return p.commandLeave()
	case "quit":
		p.quit()
		return nil, nil
	case "stream":
		return nil, errors.New("memberlist has no application streams: ask a node instead")
	default:
		return nil, fmt.Errorf("unknown command %q", command)
	}
}

func (p *peer) commandJoin(addresses []string) (fields, error) {
	if len(addresses) == 0 {
		return nil, fmt.Errorf("%w: join ADDR…", errUsage)
	}
	joined, failed := 0, []fields{}
	for _, address := range addresses {
		if _, err := p.list.Join([]string{address}); err != nil {
			failed = append(failed, fields{"addr": address, "error": err.Error()})
		} else {
			joined++
		}
	}
	body := fields{"joined": joined, "failed": failed}
	if joined == 0 {
		return body, errors.New("no address answered")
	}
	return body, nil
}

func (p *peer) memberLines() []fields {
	lines := []fields{}
	for _, one := range p.view.Load().members() {
		line := fields{"state": stateName(one.state), "incarnation": one.incarnation}
		lines = append(lines, line.putNode(&one.node).putBytes("meta", "meta_hex", one.node.Meta))
	}
	return lines
}

func (p *peer) commandMeta(text string) error {
	if len(text) > memberlist.MetaMaxSize {
		return fmt.Errorf("%d bytes of metadata: at most %d", len(text), memberlist.MetaMaxSize)
	}
	p.setMeta([]byte(text))
	return p.list.UpdateNode(leaveTimeout)
}

// find looks among the members that are not known to be gone.
func (p *peer) find(name string) (*memberlist.Node, error) {
	for _, one := range p.view.Load().members() {
		gone := one.state == memberlist.StateDead || one.state == memberlist.StateLeft
		if one.node.Name == name && !gone {
			return &one.node, nil
		}
	}
	return nil, fmt.Errorf("no live member is called %q", name)
}

// sender is SendBestEffort or SendReliable. The latter returns once quic-go has the message, so
// its success is no proof that the peer got it.
type sender func(*memberlist.Node, []byte) error

func (p *peer) commandSend(rest string, send sender) (fields, error) {
	name, text, separated := strings.Cut(rest, " ")
	if !separated {
		return nil, fmt.Errorf("%w: send NAME TEXT", errUsage)
	}
	node, err := p.sendTarget(name)
	if err != nil {
		return nil, err
	}
	return fields{"bytes": len(text)}, send(node, []byte(text))
}

func (p *peer) commandSendMany(rest string, send sender) (fields, error) {
	words := strings.Fields(rest)
	if len(words) != 3 {
		return nil, fmt.Errorf("%w: sendn NAME COUNT SIZE", errUsage)
	}
	count, countErr := strconv.Atoi(words[1])
	size, sizeErr := strconv.Atoi(words[2])
	if countErr != nil || sizeErr != nil ||
		count < 0 || count > maxSendCount || size < 0 || size > maxSendSize {
		return nil, fmt.Errorf("%w: COUNT up to %d, SIZE up to %d", errUsage, maxSendCount, maxSendSize)
	}
	node, err := p.sendTarget(words[0])
	if err != nil {
		return nil, err
	}
	start, failed := time.Now(), 0
	body := fields{}
	for number := range count {
		if err := send(node, numberedMessage(number, size)); err != nil {
			failed++
			body["last_error"] = err.Error()
		}
	}
	body["sent"], body["failed"] = count-failed, failed
	body["ms"] = time.Since(start).Milliseconds()
	return body, nil
}

func (p *peer) sendTarget(name string) (*memberlist.Node, error) {
	if name == p.options.name {
		return nil, errors.New("this is the peer itself")
	}
	return p.find(name)
}

// numberedMessage starts with its number, where there is room, and goes on with noise.
func numberedMessage(number, size int) []byte {
	message := []byte(strconv.Itoa(number) + " ")
	for len(message) < size {
		message = append(message, sendAlphabet[rand.IntN(len(sendAlphabet))])
	}
	return message[:size]
}

func (p *peer) commandPing(name string) (fields, error) {
	node, err := p.sendTarget(name)
	if err != nil {
		return nil, err
	}
	rtt, err := p.list.Ping(name, &net.UDPAddr{IP: node.Addr, Port: int(node.Port)})
	if err != nil {
		return nil, err
	}
	return fields{"rtt_us": rtt.Microseconds()}, nil
}

func (p *peer) commandKeys(command, text string) (fields, error) {
	if p.keyring == nil {
		return nil, errors.New("started without --key: there is no keyring")
	}
	if command == "keys" {
		keys := []string{}
		for _, key := range p.keyring.GetKeys() {
			keys = append(keys, hex.EncodeToString(key))
		}
		return fields{"keys": keys}, nil
	}
	key, err := hex.DecodeString(text)
	if err != nil {
		return nil, err
	}
	switch command {
	case "key-add":
		return nil, p.keyring.AddKey(key)
	case "key-use":
		return nil, p.keyring.UseKey(key)
	default:
		return nil, p.keyring.RemoveKey(key)
	}
}

// commandLeave has no number of peers told: memberlist only says that the broadcast went out.
func (p *peer) commandLeave() (fields, error) {
	start := time.Now()
	err := p.leave()
	return fields{"told": nil, "ms": time.Since(start).Milliseconds(), "go": true}, err
}

func (p *peer) commandStats() fields {
	counters := &p.transport.counters
	return fields{
		"membership": fields{
			"members": p.list.NumMembers(),
			"health":  p.list.GetHealthScore(),
			"queue":   p.queue.NumQueued(),
		},
		"transport": fields{
			"pooled":           p.transport.pool.size(),
			"dialed":           counters.dialed.Load(),
			"dial_failed":      counters.dialFailed.Load(),
			"accepted":         counters.accepted.Load(),
			"datagrams_out":    counters.datagramsOut.Load(),
			"datagrams_in":     counters.datagramsIn.Load(),
			"unis_out":         counters.unisOut.Load(),
			"unis_in":          counters.unisIn.Load(),
			"streams_out":      counters.streamsOut.Load(),
			"streams_in":       counters.streamsIn.Load(),
			"streams_refused":  counters.streamsRefused.Load(),
			"sends_refused":    counters.sendsRefused.Load(),
			"packet_bytes_out": counters.packetBytesOut.Load(),
			"packet_bytes_in":  counters.packetBytesIn.Load(),
		},
		"process": processStats(),
	}
}

// processStats reads /proc; what is not there is left out.
func processStats() fields {
	stats := fields{"goroutines": runtime.NumGoroutine()}
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err == nil {
		stats["cpu_ms"] = (usage.Utime.Nano() + usage.Stime.Nano()) / 1e6
	}
	if text, err := os.ReadFile("/proc/self/status"); err == nil {
		for line := range strings.Lines(string(text)) {
			words := strings.Fields(line)
			if len(words) < 2 {
				continue
			}
			number, err := strconv.ParseInt(words[1], 10, 64)
			switch {
			case err != nil:
			case words[0] == "VmRSS:":
				stats["rss_bytes"] = number * 1024
			case words[0] == "Threads:":
				stats["threads"] = number
			}
		}
	}
	if entries, err := os.ReadDir("/proc/self/fd"); err == nil {
		stats["fds"] = len(entries)
	}
	return stats
}
