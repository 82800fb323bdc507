package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	// benchPatience is how long a cluster may take to form, and a change to be seen.
	benchPatience = 120 * time.Second
	// benchSettling passes after all see all, before what is quiet is measured.
	benchSettling = 10 * time.Second
	// benchJoining members join at once.
	benchJoining = 8
	benchLook    = 2 * time.Millisecond
)

// benchReport is what `go-peer bench` prints: the fields that the `cluster` benchmark of the Rust
// members prints, measured the same way.
type benchReport struct {
	Members     int         `json:"members"`
	Formed      *float64    `json:"formed_ms"`
	Resident    int64       `json:"resident_bytes"`
	Connections int         `json:"connections"`
	Quiet       *benchUsage `json:"quiet"`
	Missing     int         `json:"missing"`
	Metadata    []*float64  `json:"metadata_ms"`
	Leaves      []*float64  `json:"leave_ms"`
	Crashes     []*float64  `json:"crash_ms"`
}

type benchUsage struct {
	Milliseconds float64 `json:"ms"`
	Processor    float64 `json:"cpu_ms"`
	Bytes        int64   `json:"bytes"`
}

// benchMember is one member of the process.
type benchMember struct {
	list      *memberlist.Memberlist
	transport *quicTransport
	meta      atomic.Pointer[[]byte]
}

func (m *benchMember) NodeMeta(int) []byte {
	if meta := m.meta.Load(); meta != nil {
		return *meta
	}
	return nil
}
func (m *benchMember) NotifyMsg([]byte)                {}
func (m *benchMember) GetBroadcasts(int, int) [][]byte { return nil }
func (m *benchMember) LocalState(bool) []byte          { return nil }
func (m *benchMember) MergeRemoteState([]byte, bool)   {}

func (m *benchMember) isLive(name string) bool { return m.find(name) != nil }

func (m *benchMember) find(name string) *memberlist.Node {
	for _, node := range m.list.Members() {
		if node.Name == name {
			return node
		}
	}
	return nil
}

// benchFleet is all members of the process.
type benchFleet struct {
	quic    bool
	folder  string
	members []*benchMember
	began   time.Time
	victims int
}

// start makes a member on a port of its own.
func (f *benchFleet) start(name string) (*benchMember, error) {
	config := memberlist.DefaultLANConfig()
	config.Name = name
	config.BindAddr = "127.0.0.1"
	config.BindPort = 0
	config.Logger = log.New(io.Discard, "", 0)
	m := &benchMember{}
	config.Delegate = m
	if f.quic {
		tls, err := mutualTLS(f.folder, name)
		if err != nil {
			return nil, err
		}
		m.transport, err = newTransport(transportConfig{
			bind:  &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)},
			tls:   tls,
			debug: func(string, ...any) {},
			deaf:  func(string, time.Duration) {},
		})
		if err != nil {
			return nil, err
		}
		config.Transport = m.transport
		config.BindPort = m.transport.boundAddress().Port
		// The default of 7946 would be announced whatever port we have.
		config.AdvertisePort = 0
	}
	var err error
	m.list, err = memberlist.Create(config)
	return m, err
}

func (f *benchFleet) certify(name string) error {
	if !f.quic {
		return nil
	}
	return writeCertificates(f.folder, name, []net.IP{net.IPv4(127, 0, 0, 1)})
}

func (f *benchFleet) seed() string { return addressOf(f.members[0].list.LocalNode()) }

// form starts the first member, and the others with benchJoining joins at a time.
func (f *benchFleet) form(count int) error {
	names := make([]string, count)
	for i := range names {
		names[i] = fmt.Sprintf("member-%d", i)
		if err := f.certify(names[i]); err != nil {
			return err
		}
	}
	f.began = time.Now()
	first, err := f.start(names[0])
	if err != nil {
		return err
	}
	f.members = []*benchMember{first}
	seed := f.seed()
	var next atomic.Int64
	var mutex sync.Mutex
	var failures []error
	var joining sync.WaitGroup
	for range benchJoining {
		joining.Go(func() {
			for {
				place := int(next.Add(1))
				if place >= count {
					return
				}
				m, err := f.start(names[place])
				if err == nil {
					_, _ = m.list.Join([]string{seed})
				}
				mutex.Lock()
				if err == nil {
					f.members = append(f.members, m)
				} else {
					failures = append(failures, err)
				}
				mutex.Unlock()
			}
		})
	}
	joining.Wait()
	return errors.Join(failures...)
}

// untilAll waits until all members see something.
func (f *benchFleet) untilAll(began time.Time, sees func(*benchMember) bool) *float64 {
	waiting := append([]*benchMember(nil), f.members...)
	for time.Since(began) < benchPatience {
		left := waiting[:0]
		for _, m := range waiting {
			if !sees(m) {
				left = append(left, m)
			}
		}
		if waiting = left; len(waiting) == 0 {
			took := float64(time.Since(began).Microseconds()) / 1e3
			return &took
		}
		time.Sleep(benchLook)
	}
	return nil
}

func (f *benchFleet) missing() int {
	missing := 0
	for _, m := range f.members {
		if m.list.NumMembers() != len(f.members) {
			missing++
		}
	}
	return missing
}

func (f *benchFleet) connections() int {
	connections := 0
	for _, m := range f.members {
		if m.transport != nil {
			connections += m.transport.pool.size()
		}
	}
	return connections
}

func (f *benchFleet) changeMetadata(round int) (*float64, error) {
	teller := f.members[round%len(f.members)]
	name, meta := teller.list.LocalNode().Name, []byte(fmt.Sprintf("metadata %d", round))
	teller.meta.Store(&meta)
	began := time.Now()
	failed := make(chan error, 1)
	// It waits until the update has been sent as often as it is sent.
	go func() { failed <- teller.list.UpdateNode(benchPatience) }()
	took := f.untilAll(began, func(m *benchMember) bool {
		node := m.find(name)
		return node != nil && string(node.Meta) == string(meta)
	})
	return took, <-failed
}

func (f *benchFleet) leave(round int) (*float64, error) {
	name := fmt.Sprintf("leaver-%d", round)
	if err := f.certify(name); err != nil {
		return nil, err
	}
	leaver, err := f.start(name)
	if err != nil {
		return nil, err
	}
	if _, err := leaver.list.Join([]string{f.seed()}); err != nil {
		return nil, err
	}
	f.untilAll(time.Now(), func(m *benchMember) bool { return m.isLive(name) })
	began := time.Now()
	left := make(chan error, 1)
	go func() { left <- leaver.list.Leave(benchPatience) }()
	took := f.untilAll(began, func(m *benchMember) bool { return !m.isLive(name) })
	err = <-left
	_ = leaver.list.Shutdown()
	return took, err
}

func (f *benchFleet) crash() (*float64, error) {
	f.victims++
	name := fmt.Sprintf("victim-%d", f.victims)
	if err := f.certify(name); err != nil {
		return nil, err
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	victim := exec.Command(program, "bench", "--victim", f.seed(), "--name", name,
		"--folder", f.folder, "--transport", f.transportName())
	if err := victim.Start(); err != nil {
		return nil, err
	}
	f.untilAll(time.Now(), func(m *benchMember) bool { return m.isLive(name) })
	// A member that has only just joined is probed by few.
	time.Sleep(2 * time.Second)
	began := time.Now()
	_ = victim.Process.Kill()
	_ = victim.Wait()
	return f.untilAll(began, func(m *benchMember) bool { return !m.isLive(name) }), nil
}

func (f *benchFleet) transportName() string {
	if f.quic {
		return "quic"
	}
	return "net"
}

// runBench measures a cluster of Go members in this process.
func runBench(arguments []string, out io.Writer) error {
	flags := flag.NewFlagSet("go-peer bench", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	members := flags.Int("members", 10, "members of the cluster")
	quiet := flags.Int("quiet", 20, "seconds in which nothing happens")
	times := flags.Int("times", 3, "how often each change is made")
	transport := flags.String("transport", "quic", "quic or net (UDP and TCP)")
	victim := flags.String("victim", "", "join there as one member, and run until killed")
	name := flags.String("name", "", "the victim's name")
	folder := flags.String("folder", "", "where the certificates are")
	if err := flags.Parse(arguments); err != nil {
		return badInput{err}
	}
	if *members < 2 || (*transport != "quic" && *transport != "net") {
		return badInput{errors.New("bench: --members from 2, --transport quic or net")}
	}
	f := &benchFleet{quic: *transport == "quic", folder: *folder}
	if *victim != "" {
		m, err := f.start(*name)
		if err != nil {
			return err
		}
		if _, err := m.list.Join([]string{*victim}); err != nil {
			return err
		}
		select {}
	}
	var err error
	if f.folder, err = os.MkdirTemp("", "go-peer-bench-"); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(f.folder) }()
	report, err := f.measure(*members, time.Duration(*quiet)*time.Second, *times)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(report)
}

func (f *benchFleet) measure(members int, quiet time.Duration, times int) (*benchReport, error) {
	report := &benchReport{Members: members}
	if err := f.form(members); err != nil {
		return nil, err
	}
	isFormed := func(m *benchMember) bool { return m.list.NumMembers() == members }
	report.Formed = f.untilAll(f.began, isFormed)
	if report.Formed == nil {
		report.Missing = f.missing()
		return report, nil
	}
	time.Sleep(benchSettling)
	before, began := usage(), time.Now()
	time.Sleep(quiet)
	after := usage()
	report.Quiet = &benchUsage{
		Milliseconds: float64(time.Since(began).Microseconds()) / 1e3,
		Processor:    after.Processor - before.Processor,
		Bytes:        after.Bytes - before.Bytes,
	}
	report.Resident = numberAfter("/proc/self/status", "VmRSS:") * 1024
	report.Connections = f.connections()
	report.Missing = f.missing()
	changes := []struct {
		make  func(int) (*float64, error)
		times *[]*float64
	}{
		{f.changeMetadata, &report.Metadata},
		{f.leave, &report.Leaves},
		{func(int) (*float64, error) { return f.crash() }, &report.Crashes},
	}
	for _, change := range changes {
		for round := range times {
			took, err := change.make(round)
			if err != nil {
				return nil, err
			}
			*change.times = append(*change.times, took)
		}
	}
	return report, nil
}

// usage is what this process has used: processor time in milliseconds, and bytes through the
// loopback interface of its network namespace, whoever sent them.
func usage() benchUsage {
	stat, _ := os.ReadFile("/proc/self/stat")
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	ticks := 0
	// Fields 14 and 15, in ticks of 10 ms.
	for _, field := range fields[min(11, len(fields)):min(13, len(fields))] {
		number, _ := strconv.Atoi(field)
		ticks += number
	}
	return benchUsage{Processor: float64(ticks * 10), Bytes: numberAfter("/proc/self/net/dev", "lo:")}
}

// numberAfter is the first number of the line that begins with a word; 0 where there is none.
func numberAfter(file, word string) int64 {
	text, _ := os.ReadFile(file)
	for line := range strings.Lines(string(text)) {
		if rest, found := strings.CutPrefix(strings.TrimSpace(line), word); found {
			fields := strings.Fields(rest)
			if len(fields) > 0 {
				number, _ := strconv.ParseInt(fields[0], 10, 64)
				return number
			}
		}
	}
	return 0
}
