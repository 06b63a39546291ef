package main

import (
	"net/netip"
	"os"
	"time"
)

// A Config is everything that is decided before the server starts. What changes
// while it runs (domains, accounts, aliases …) is in the database instead.
// Where each field comes from, and what it means, is in the table of keys.
type Config struct {
	Hostname string
	Data     string
	Reserve  int64 // octets

	Listen    ListenConfig
	TLS       TLSConfig
	SMTP      SMTPConfig
	Inbound   InboundConfig
	Auth      AuthConfig
	DNS       DNSConfig
	Delivery  DeliveryConfig
	Limits    LimitsConfig
	Trace     TraceConfig
	Web       WebConfig
	LocalMode bool // there is no configuration file: everything stays on this machine

	File string // what was read, empty in local mode
}

// A ListenConfig holds the addresses of each service; none turns it off.
type ListenConfig struct {
	SMTP, Submission, Submissions, POP3, POP3S, Web, HTTP, HTTPS, Metrics []string

	ProxyTrusted []netip.Prefix
}

// A TLSConfig says where the certificate comes from. The zero TLSConfig is a
// self-signed one.
type TLSConfig struct {
	Cert, Key string
	ACME      bool

	ACMEEmail, ACMEDirectory, ACMERoots   string
	ACMEDNS, ACMETSIGName, ACMETSIGSecret string // DNS-01 by RFC 2136
	MTASTS                                string // off, testing, enforce
}

// An SMTPConfig limits what SMTP clients may do.
type SMTPConfig struct {
	MaxMessageSize           int64 // octets
	MaxRecipients            int
	Auth                     bool
	MaxConnections           int
	MaxConnectionsPerAddress int
	IdleTimeout              time.Duration
	BannerDelay              time.Duration
	ConnectionsPerMinute     int // from one address
	MessagesPerMinute        int // from one address
}

// An InboundConfig says how mail from other servers is checked.
type InboundConfig struct {
	Blocklists, DomainBlocklists []string
	BlocklistsNeeded             int
	SPF, DMARC                   string // off, mark, enforce
	DKIM                         string // off, mark
	OwnDomains                   string // off, enforce
	Greylist                     bool
}

// An AuthConfig says how users log in.
type AuthConfig struct{ RequireTLS, SCRAM, BlockGuessers bool }

// A DNSConfig names the servers to ask; none means the system's.
type DNSConfig struct{ Servers []string }

// A DeliveryConfig says how mail leaves.
type DeliveryConfig struct {
	Port                           int
	PrivateDestinations            bool
	Retry                          []time.Duration
	Expire, BackupExpire           time.Duration // BackupExpire: of mail for backup domains
	DelayNotice                    time.Duration // zero: never
	FallbackRelay, Smarthost       string        // host:port
	ConnectTimeout, CommandTimeout time.Duration
	Concurrency, PerDestination    int
	DKIM                           bool // sign what leaves
}

// A LimitsConfig holds what an account, all accounts of a domain and the whole
// server may send, unless they have limits of their own. Zero is no limit.
type LimitsConfig struct{ Account, Domain, Server AllowanceConfig }

// An AllowanceConfig are the limits of one scope.
type AllowanceConfig struct{ MessagesPerHour, MessagesPerDay, RecipientsPerHour, RecipientsPerDay int }

// A TraceConfig says how long the trace is kept.
type TraceConfig struct {
	Keep, RejectedKeep time.Duration
	RejectedMax        int
}

// A WebConfig belongs to the web page.
type WebConfig struct{ TrustedProxies []netip.Prefix }

// Name returns the name that the server goes by: the configured one, else the
// machine's.
func (c *Config) Name() string {
	if c.Hostname != "" {
		return c.Hostname
	}
	if name, err := os.Hostname(); err == nil && name != "" {
		return name
	}
	return "localhost"
}
