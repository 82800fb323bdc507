package main

import (
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"

	"github.com/hashicorp/memberlist"
)

const defaultPort = 7946

// options is what the command line asks for.
type options struct {
	name                 string
	bind                 *net.UDPAddr
	advertise            *net.UDPAddr
	join                 []string
	certificates         string
	label                string
	keys                 [][]byte
	profile              string
	meta                 []byte
	compress             bool
	json                 bool
	exitOnEOF            bool
	broadcastTransmits   int
	verifyIn, verifyOut  bool
	encryptionOldVersion bool
}

// parseOptions reads the flags of a peer. Any error is bad input.
func parseOptions(arguments []string) (*options, error) {
	o := &options{}
	flags := flag.NewFlagSet("go-peer", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.name, "name", "", "this member's name")
	bind := flags.String("bind", "", "IP:PORT; port 0 takes a free one")
	advertise := flags.String("advertise", "", "IP:PORT to announce (in 16-byte form)")
	join := flags.String("join", "", "addresses to join, comma separated")
	flags.StringVar(&o.certificates, "certs", "", "directory of ca.pem, NAME.pem, NAME.key")
	flags.StringVar(&o.label, "label", "", "cluster label")
	flags.Func("key", "encryption key in hex, repeatable, the first one encrypts", o.addKey)
	flags.StringVar(&o.profile, "profile", "lan", "lan, wan or local")
	meta := flags.String("meta", "", "metadata")
	compress := flags.String("compress", "on", "on or off")
	flags.BoolVar(&o.json, "json", false, "events as JSON lines")
	flags.BoolVar(&o.exitOnEOF, "exit-on-eof", false, "end of stdin means quit")
	flags.IntVar(&o.broadcastTransmits, "broadcast-mult", 4, "RetransmitMult of bcast's queue")
	flags.BoolVar(&o.verifyIn, "verify-incoming", true, "GossipVerifyIncoming")
	flags.BoolVar(&o.verifyOut, "verify-outgoing", true, "GossipVerifyOutgoing")
	flags.BoolVar(&o.encryptionOldVersion, "protocol-1", false,
		"speak protocol version 1, which pads and encrypts as version 0")
	if err := flags.Parse(arguments); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q: every setting has a flag", flags.Arg(0))
	}
	o.meta = []byte(*meta)
	if *join != "" {
		o.join = strings.Split(*join, ",")
	}
	var err error
	if o.bind, err = parseEndpoint("--bind", *bind); err != nil {
		return nil, err
	}
	if *advertise != "" {
		if o.advertise, err = parseEndpoint("--advertise", *advertise); err != nil {
			return nil, err
		}
	}
	switch *compress {
	case "on":
		o.compress = true
	case "off":
	default:
		return nil, fmt.Errorf("--compress %q: say on or off", *compress)
	}
	return o, o.check()
}

func (o *options) addKey(text string) error {
	key, err := hex.DecodeString(text)
	if err != nil {
		return fmt.Errorf("not hex: %v", err)
	}
	if err := memberlist.ValidateKey(key); err != nil {
		return err
	}
	o.keys = append(o.keys, key)
	return nil
}

func (o *options) check() error {
	if err := checkName(o.name); err != nil {
		return err
	}
	if o.certificates == "" {
		return errors.New("--certs is missing: name the directory (go-peer certs makes one)")
	}
	if _, err := o.config(); err != nil {
		return err
	}
	if len(o.label) > memberlist.LabelMaxSize {
		return fmt.Errorf("--label is %d bytes long: at most %d", len(o.label), memberlist.LabelMaxSize)
	}
	if len(o.meta) > memberlist.MetaMaxSize {
		return fmt.Errorf("--meta is %d bytes long: at most %d", len(o.meta), memberlist.MetaMaxSize)
	}
	for _, address := range o.join {
		if err := checkJoinAddress(address); err != nil {
			return fmt.Errorf("--join: %w", err)
		}
	}
	return nil
}

// checkName guards the file names that are made of it.
func checkName(name string) error {
	if name == "" || strings.ContainsAny(name, "/\x00") {
		return fmt.Errorf("--name %q: give a name without a slash", name)
	}
	return nil
}

// config is memberlist's own configuration for the profile.
func (o *options) config() (*memberlist.Config, error) {
	var config *memberlist.Config
	switch o.profile {
	case "lan":
		config = memberlist.DefaultLANConfig()
	case "wan":
		config = memberlist.DefaultWANConfig()
	case "local":
		config = memberlist.DefaultLocalConfig()
	default:
		return nil, fmt.Errorf("--profile %q: say lan, wan or local", o.profile)
	}
	config.Name = o.name
	config.Label = o.label
	config.EnableCompression = o.compress
	config.GossipVerifyIncoming = o.verifyIn
	config.GossipVerifyOutgoing = o.verifyOut
	if o.encryptionOldVersion {
		config.ProtocolVersion = 1
	}
	config.AdvertiseAddr = ""
	// The default of 7946 would be announced whatever port we have.
	config.AdvertisePort = 0
	if o.advertise != nil {
		config.AdvertiseAddr = o.advertise.IP.String()
		config.AdvertisePort = o.advertise.Port
	}
	if len(o.keys) > 0 {
		keyring, err := memberlist.NewKeyring(o.keys, o.keys[0])
		if err != nil {
			return nil, fmt.Errorf("--key: %w", err)
		}
		config.Keyring = keyring
	}
	return config, nil
}

func parseEndpoint(name, text string) (*net.UDPAddr, error) {
	host, port := text, strconv.Itoa(defaultPort)
	if h, p, err := net.SplitHostPort(text); err == nil {
		host, port = h, p
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	number, err := strconv.ParseUint(port, 10, 16)
	if ip == nil || err != nil {
		return nil, fmt.Errorf("%s %q: give IP:PORT", name, text)
	}
	return &net.UDPAddr{IP: ip, Port: int(number)}, nil
}

// checkJoinAddress finds what can never be joined. Whether a host resolves is seen later.
func checkJoinAddress(text string) error {
	_, address, named := strings.Cut(text, "/")
	if !named {
		address = text
	}
	host, port := address, strconv.Itoa(defaultPort)
	if h, p, err := net.SplitHostPort(address); err == nil {
		host, port = h, p
	}
	_, err := strconv.ParseUint(port, 10, 16)
	if err != nil || host == "" || strings.ContainsAny(host, " ,") {
		return fmt.Errorf("%q is malformed: give HOST:PORT", text)
	}
	return nil
}
