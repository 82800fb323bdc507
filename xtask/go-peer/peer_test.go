package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestTwoPeersMeetTalkAndPart(t *testing.T) {
	ada := start(t, "ada", "--meta", "m-ada")
	bob := start(t, "bob", "--meta", "m-bob", "--join", ada.address)

	joined := bob.await(t, "join", "ada")
	if joined["meta"] != "m-ada" || joined["addr"] != ada.address {
		t.Errorf("bob saw ada as %v", joined)
	}
	ada.await(t, "join", "bob")

	ada.do(t, "send bob by packet")
	if got := bob.awaitText(t, "by packet"); got["reliable"] != false {
		t.Errorf("a packet was reported as %v", got)
	}
	bob.do(t, "sendr ada by stream")
	if got := ada.awaitText(t, "by stream"); got["reliable"] != true {
		t.Errorf("a stream was reported as %v", got)
	}
	ada.do(t, "bcast to all")
	bob.awaitText(t, "to all")

	ada.do(t, "meta changed")
	if got := bob.await(t, "update", "ada"); got["meta"] != "changed" {
		t.Errorf("bob saw the update as %v", got)
	}
	if pinged := ada.do(t, "ping bob"); pinged["rtt_us"].(float64) <= 0 {
		t.Errorf("a ping took %v", pinged["rtt_us"])
	}

	bob.do(t, "leave")
	ada.await(t, "leave", "bob")
	if state := ada.stateOf(t, "bob"); state != "left" {
		t.Errorf("ada holds bob as %q", state)
	}
}

func TestKilledPeerIsReportedAsFailed(t *testing.T) {
	ada := start(t, "ada", "--profile", "local")
	bob := start(t, "bob", "--profile", "local", "--join", ada.address)
	ada.await(t, "join", "bob")

	// A closed socket is as dead as a killed process: nothing is said, nothing is heard.
	_ = bob.transport.socket.Close()
	ada.await(t, "fail", "bob")
	if state := ada.stateOf(t, "bob"); state != "dead" {
		t.Errorf("ada holds bob as %q", state)
	}
}

func TestLabelAndKeysKeepStrangersOut(t *testing.T) {
	key := strings.Repeat("0f", 24)
	ada := start(t, "ada", "--label", "lab", "--key", key)
	bob := start(t, "bob", "--label", "lab", "--key", key, "--compress", "off")
	bob.do(t, "join "+ada.address)
	ada.await(t, "join", "bob")
	bob.do(t, "send ada sealed")
	ada.awaitText(t, "sealed")

	for name, flags := range map[string][]string{
		"wrong-label": {"--label", "other", "--key", key},
		"wrong-key":   {"--label", "lab", "--key", strings.Repeat("1e", 24)},
	} {
		stranger := start(t, name, flags...)
		if reply := stranger.ask(t, "join "+ada.address); reply["ok"] != false {
			t.Errorf("%s joined: %v", name, reply)
		}
	}
	if count := len(ada.do(t, "members")["members"].([]any)); count != 2 {
		t.Errorf("ada counts %d members", count)
	}
}

func TestBadCommandsAreAnsweredAndChangeNothing(t *testing.T) {
	ada := start(t, "ada")
	for _, line := range []string{
		"dance", "join", "send", "send nobody hello", "send ada hello", "sendn nobody x y",
		"meta " + strings.Repeat("m", 513), "ping nobody", "key-add 00", "stream bob echo hi",
	} {
		if reply := ada.ask(t, line); reply["ok"] != false || reply["error"] == "" {
			t.Errorf("%q was answered %v", line, reply)
		}
	}
	if meta := ada.do(t, "members")["members"].([]any)[0].(map[string]any)["meta"]; meta != "" {
		t.Errorf("metadata became %q", meta)
	}
}

func TestOptionsRefuseWhatCannotWork(t *testing.T) {
	good := []string{"--name", "ada", "--bind", "127.0.0.1:0", "--certs", "somewhere"}
	if _, err := parseOptions(good); err != nil {
		t.Fatalf("a good command line was refused: %v", err)
	}
	for _, more := range [][]string{
		{"--name", "a/b"}, {"--bind", "nowhere"}, {"--certs", ""}, {"--key", "00"}, {"--key", "xy"},
		{"--profile", "moon"}, {"--compress", "maybe"}, {"--label", strings.Repeat("l", 256)},
		{"--meta", strings.Repeat("m", 513)}, {"--join", "host:port"}, {"--name-policy", "any"},
		{"stray"},
	} {
		if _, err := parseOptions(append(good[:len(good):len(good)], more...)); err == nil {
			t.Errorf("%q was accepted", more)
		}
	}
}

// patience is for slow machines; a story that goes well is over long before.
const patience = 40 * time.Second

// actor is a peer of a story, with everything that it reported.
type actor struct {
	*peer
	name    string
	address string

	mutex  sync.Mutex
	events []fields
	news   chan struct{}
}

// logBuffer may be read while a peer that does not stop still writes to it.
type logBuffer struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

// Write takes one log line.
func (l *logBuffer) Write(line []byte) (int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.Write(line)
}

// String is everything logged so far.
func (l *logBuffer) String() string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.String()
}

var certificates struct {
	sync.Mutex
	directory string
}

func TestMain(m *testing.M) {
	directory, err := os.MkdirTemp("", "go-peer-test-")
	if err != nil {
		panic(err)
	}
	certificates.directory = directory
	code := m.Run()
	_ = os.RemoveAll(directory)
	os.Exit(code)
}

// start runs a peer on a free port of the loopback, with a certificate from the tests' authority.
func start(t *testing.T, name string, flags ...string) *actor {
	t.Helper()
	certificates.Lock()
	err := writeCertificates(certificates.directory, name, []net.IP{net.IPv4(127, 0, 0, 1)})
	certificates.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	o, err := parseOptions(append([]string{
		"--name", name, "--bind", "127.0.0.1:0", "--certs", certificates.directory, "--json",
	}, flags...))
	if err != nil {
		t.Fatal(err)
	}
	a := &actor{name: name, news: make(chan struct{}, 1)}
	logs := &logBuffer{}
	report := newReporter(a, true)
	a.peer, err = newPeer(o, report, logs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		a.quit()
		report.close()
		if t.Failed() {
			t.Logf("%s reported:\n%s", name, a.transcript())
			t.Logf("%s logged:\n%s", name, logs.String())
		}
	})
	ready := a.until(t, "ready", func(event fields) bool { return event["ev"] == "ready" })
	a.address = ready["addr"].(string)
	return a
}

var _ io.Writer = (*actor)(nil)

// Write takes one event line.
func (a *actor) Write(line []byte) (int, error) {
	event := fields{}
	if err := json.Unmarshal(line, &event); err != nil {
		event["ev"] = fmt.Sprintf("not JSON: %v", err)
	}
	a.mutex.Lock()
	a.events = append(a.events, event)
	a.mutex.Unlock()
	select {
	case a.news <- struct{}{}:
	default:
	}
	return len(line), nil
}

// until waits for an event, past ones included.
func (a *actor) until(t *testing.T, what string, matches func(fields) bool) fields {
	t.Helper()
	deadline := time.After(patience)
	for seen := 0; ; {
		a.mutex.Lock()
		fresh := a.events[seen:]
		a.mutex.Unlock()
		for _, event := range fresh {
			if matches(event) {
				return event
			}
		}
		seen += len(fresh)
		select {
		case <-a.news:
		case <-deadline:
			t.Fatalf("%s waited in vain for: %s", a.name, what)
		}
	}
}

func (a *actor) await(t *testing.T, event, node string) fields {
	t.Helper()
	return a.until(t, event+" of "+node, func(one fields) bool {
		return one["ev"] == event && one["node"] == node
	})
}

func (a *actor) awaitText(t *testing.T, text string) fields {
	t.Helper()
	return a.until(t, "message "+text, func(one fields) bool {
		return one["ev"] == "msg" && one["text"] == text
	})
}

// ask runs a command and returns its reply, whatever it says.
func (a *actor) ask(t *testing.T, line string) fields {
	t.Helper()
	replies := func() (found []fields) {
		a.mutex.Lock()
		defer a.mutex.Unlock()
		for _, event := range a.events {
			if event["ev"] == "reply" {
				found = append(found, event)
			}
		}
		return found
	}
	before := len(replies())
	a.run(line)
	a.until(t, "reply to "+line, func(fields) bool { return len(replies()) > before })
	return replies()[before]
}

// do runs a command that must succeed.
func (a *actor) do(t *testing.T, line string) fields {
	t.Helper()
	reply := a.ask(t, line)
	if reply["ok"] != true {
		t.Fatalf("%s: %q was answered %v", a.name, line, reply)
	}
	return reply
}

func (a *actor) stateOf(t *testing.T, node string) string {
	t.Helper()
	for _, line := range a.do(t, "members")["members"].([]any) {
		if one := line.(map[string]any); one["node"] == node {
			return one["state"].(string)
		}
	}
	return "unknown"
}

func (a *actor) transcript() string {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	var text strings.Builder
	for _, event := range a.events {
		fmt.Fprintln(&text, event)
	}
	return text.String()
}
