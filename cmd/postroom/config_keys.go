package main

import (
	"math"
	"slices"
	"time"
)

// A key is one setting: this table is what the configuration file, the
// environment, the file of init and the README are made from.
type key struct {
	path string // with a dot after the table's name
	value
	doc string
}

// A section is one table of the file.
type section struct {
	name string
	doc  string
	keys []key
}

// sections returns the table of keys, bound to c. The values of a fresh c from
// defaults are the defaults.
func sections(c *Config) []section {
	return []section{
		{"", "", generalKeys(c)},
		{"listen", "Lists of host:port; an empty list turns the service off.", listenKeys(c)},
		{"tls", "Certificate and key files, or acme = true; neither: a self-signed certificate is made and kept in data.", tlsKeys(c)},
		{"smtp", "What SMTP clients may do, other servers and our users' mail programs alike.", smtpKeys(c)},
		{"inbound", "Mail from other servers; every check's result stands in the trace.", inboundKeys(c)},
		{"auth", "How users log in.", authKeys(c)},
		{"dns", "", dnsKeys(c)},
		{"delivery", "Mail to other servers.", deliveryKeys(c)},
		{"limits", "How much may be sent to other servers; an account, a domain and the server can have limits of their own, or none.", limitsKeys(c)},
		{"trace", "How long it is remembered what became of each message.", traceKeys(c)},
		{"web", "The web page.", webKeys(c)},
	}
}

func generalKeys(c *Config) []key {
	return []key{
		{"hostname", textValue{p: &c.Hostname, check: checkHostname}, "The server's name: in EHLO, in Received, in the certificate. Empty: this machine's own name."},
		{"data", textValue{p: &c.Data}, "The folder of the database and everything else that must be kept."},
		{"reserve", sizeValue{p: &c.Reserve}, "With less than this free on the disk of data (or less than 2 % of it, if that is less) no new mail is taken: 452."},
	}
}

func listenKeys(c *Config) []key {
	l := &c.Listen
	return []key{
		{"listen.smtp", addresses(&l.SMTP), "Other servers' mail."},
		{"listen.submission", addresses(&l.Submission), "Our users' mail programs: STARTTLS, then AUTH."},
		{"listen.submissions", addresses(&l.Submissions), "The same, with TLS from the first byte."},
		{"listen.pop3", addresses(&l.POP3), "Collecting mail: STLS, then log in."},
		{"listen.pop3s", addresses(&l.POP3S), "The same, with TLS from the first byte."},
		{"listen.web", addresses(&l.Web), "The web page, without TLS, for this host and for proxies on it; listen.https is for the network."},
		{"listen.http", addresses(&l.HTTP), "Port 80, for what must be found there without TLS: the certificate authority's challenges and the settings of mail programs. Everything else is sent on to listen.https."},
		{"listen.https", addresses(&l.HTTPS), "The web page with TLS, the domains' MTA-STS policies, the settings of mail programs."},
		{"listen.metrics", addresses(&l.Metrics), "Prometheus text at /metrics, and /healthz and /readyz."},
		{"listen.proxy_trusted", networks(&l.ProxyTrusted), "Networks whose mail connections must open with a PROXY header (v1 or v2) within 5 s; nobody else's may."},
	}
}

func tlsKeys(c *Config) []key {
	return []key{
		{"tls.cert", textValue{p: &c.TLS.Cert}, "A file with the certificate and its chain, in PEM. Read again at SIGHUP, and within minutes when it changes. If it is missing or wrong, the last good one goes on, else the self-signed one."},
		{"tls.key", textValue{p: &c.TLS.Key}, "The file with its key, in PEM."},
		{"tls.acme", switchValue{&c.TLS.ACME}, "Where no files are given, get certificates from a certificate authority whose terms you accept by this, and renew them. It must reach us at listen.http on port 80 or listen.https on port 443, or else tls.acme_dns must be set. Until there is one, the self-signed one is used."},
		{"tls.acme_email", textValue{p: &c.TLS.ACMEEmail}, "Where the certificate authority writes to when something is wrong; may be empty."},
		{"tls.acme_directory", textValue{p: &c.TLS.ACMEDirectory, check: checkDirectory}, "The certificate authority's directory; empty: Let's Encrypt."},
		{"tls.acme_roots", textValue{p: &c.TLS.ACMERoots}, "A file with the roots to trust when speaking to it, in PEM; empty: the system's. For an authority of your own."},
		{"tls.acme_dns", textValue{p: &c.TLS.ACMEDNS, check: checkHostPort}, `"host:port" of a DNS server that takes updates (RFC 2136): challenges are answered there (DNS-01) and no port has to be open.`},
		{"tls.acme_tsig_name", textValue{p: &c.TLS.ACMETSIGName}, "The name of the key (TSIG, hmac-sha256) for these updates."},
		{"tls.acme_tsig_secret", textValue{p: &c.TLS.ACMETSIGSecret, check: checkBase64}, "The key itself, in base64."},
		{"tls.mta_sts", choiceValue{p: &c.TLS.MTASTS, from: []string{"off", "testing", "enforce"}}, "The mode of the policies that listen.https serves for our domains (RFC 8461)."},
	}
}

func smtpKeys(c *Config) []key {
	s := &c.SMTP
	return []key{
		{"smtp.max_message_size", sizeValue{p: &s.MaxMessageSize}, "Larger messages are refused (552)."},
		{"smtp.max_recipients", countValue{&s.MaxRecipients, 1, math.MaxInt32}, "Recipients of one message; more are put off (452)."},
		{"smtp.auth", switchValue{&s.Auth}, "Offer AUTH on port 25 too (after STARTTLS), for old clients."},
		{"smtp.max_connections", countValue{&s.MaxConnections, 1, math.MaxInt32}, "Over it: 421."},
		{"smtp.max_connections_per_address", countValue{&s.MaxConnectionsPerAddress, 1, math.MaxInt32}, "From one client address, loopback aside. Over it: 421."},
		{"smtp.connections_per_minute", countValue{&s.ConnectionsPerMinute, 0, math.MaxInt32}, "To one of the SMTP services, from one client address, loopback aside; four times as many from its /24 or /64. Over it: 421. 0: any number."},
		{"smtp.messages_per_minute", countValue{&s.MessagesPerMinute, 0, math.MaxInt32}, "Messages to port 25 from one client address, loopback aside; four times as many from its /24 or /64. Over it: 450. 0: any number."},
		{"smtp.banner_delay", durationValue{p: &s.BannerDelay}, "Let clients of port 25 wait so long for our greeting, loopback aside; who speaks before it is refused (554)."},
		{"smtp.idle_timeout", durationValue{p: &s.IdleTimeout, least: time.Second}, "No byte for so long: 421 and closed, in the middle of a message too."},
	}
}

func inboundKeys(c *Config) []key {
	in, modes := &c.Inbound, []string{"off", "mark", "enforce"}
	return []key{
		{"inbound.blocklists", zones(&in.Blocklists), `DNS zones asked for the client's address (RFC 5782), such as "zen.spamhaus.org". Listed: 550 at RCPT.`},
		{"inbound.domain_blocklists", zones(&in.DomainBlocklists), "DNS zones asked for the domains of EHLO, MAIL FROM and the header From. Listed: 550."},
		{"inbound.blocklists_needed", countValue{&in.BlocklistsNeeded, 1, 100}, "How many of the blocklists must have an address before it is refused."},
		{"inbound.spf", choiceValue{p: &in.SPF, from: modes}, "off, mark (Authentication-Results) or enforce (a hard fail is refused, 550 5.7.23; while the DNS fails, mail waits: 451)."},
		{"inbound.dkim", choiceValue{p: &in.DKIM, from: []string{"off", "mark"}}, "off or mark (Authentication-Results). DMARC looks at SPF and DKIM whatever their own modes."},
		{"inbound.dmarc", choiceValue{p: &in.DMARC, from: modes}, "off, mark or enforce (the owner's p=reject is obeyed, 550 5.7.1; p=quarantine gets X-Spam: yes; while the DNS fails, mail waits: 451). RFC 9989."},
		{"inbound.own_domains", choiceValue{p: &in.OwnDomains, from: []string{"off", "enforce"}}, "off or enforce: who hasn't logged in and says to be of a domain of ours must pass its SPF, or is refused (550 5.7.1)."},
		{"inbound.greylist", switchValue{&in.Greylist}, "Put off the first mail of a server that we don't know. Still to come."},
	}
}

func authKeys(c *Config) []key {
	return []key{
		{"auth.require_tls", switchValue{&c.Auth.RequireTLS}, "false only for tests and trusted networks: passwords without TLS."},
		{"auth.scram", switchValue{&c.Auth.SCRAM}, "SCRAM-SHA-256 too, for passwords set from then on. Its stored keys resist a thief of the database less than argon2id."},
		{"auth.block_guessers", switchValue{&c.Auth.BlockGuessers}, "Slow down addresses that guess passwords, then keep them from logging in for a while."},
	}
}

func dnsKeys(c *Config) []key {
	return []key{
		{"dns.servers", listValue[string]{p: &c.DNS.Servers, what: `DNS servers such as "127.0.0.1:53"`, parse: parseServer, format: identity}, `DNS servers, "ip:port", tried in order; empty: the system's resolv.conf.`},
	}
}

func deliveryKeys(c *Config) []key {
	d := &c.Delivery
	return []key{
		{"delivery.port", countValue{&d.Port, 1, math.MaxUint16}, "The port of other servers; changed only in tests."},
		{"delivery.private_destinations", switchValue{&d.PrivateDestinations}, "May a host found by MX be on a loopback or private address?"},
		{"delivery.retry", durations(&d.Retry), "The waits between attempts; the last repeats."},
		{"delivery.expire", durationValue{p: &d.Expire, least: time.Second}, "Then the message goes back to its sender."},
		{"delivery.backup_expire", durationValue{p: &d.BackupExpire, least: time.Second}, "The same for mail of backup domains, which waits for their own server."},
		{"delivery.delay_notice", durationValue{p: &d.DelayNotice}, `Tell the sender once that a message is late; "0": never.`},
		{"delivery.fallback_relay", textValue{p: &d.FallbackRelay, check: checkHostPort}, `"host:port" of a backup server, tried when no MX of a domain can be reached.`},
		{"delivery.smarthost", textValue{p: &d.Smarthost, check: checkHostPort}, `"host:port" of a server that everything that leaves goes to, unless a route leads elsewhere; mail of backup domains isn't sent there.`},
		{"delivery.connect_timeout", durationValue{p: &d.ConnectTimeout, least: time.Millisecond}, "For each address of a host."},
		{"delivery.command_timeout", durationValue{p: &d.CommandTimeout, least: time.Millisecond}, "For each answer (RFC 5321 4.5.3.2)."},
		{"delivery.concurrency", countValue{&d.Concurrency, 1, math.MaxInt32}, "Outgoing connections in all."},
		{"delivery.per_destination", countValue{&d.PerDestination, 1, math.MaxInt32}, "Outgoing connections to one destination."},
		{"delivery.dkim", switchValue{&d.DKIM}, "Sign what our own users send with the keys of their domain."},
	}
}

func limitsKeys(c *Config) []key {
	l := &c.Limits
	return slices.Concat(
		allowanceKeys("limits.", &l.Account, "one account"),
		allowanceKeys("limits.domain_", &l.Domain, "all accounts of one domain"),
		allowanceKeys("limits.server_", &l.Server, "all accounts"),
	)
}

// allowanceKeys returns the limits of one scope.
func allowanceKeys(prefix string, a *AllowanceConfig, whose string) []key {
	return []key{
		{prefix + "messages_per_hour", countValue{&a.MessagesPerHour, 0, math.MaxInt32}, "Messages of " + whose + " to other servers within an hour. Over it: 450. 0: any number."},
		{prefix + "messages_per_day", countValue{&a.MessagesPerDay, 0, math.MaxInt32}, "The same within a day."},
		{prefix + "recipients_per_hour", countValue{&a.RecipientsPerHour, 0, math.MaxInt32}, "Recipients at other servers within an hour, of " + whose + "."},
		{prefix + "recipients_per_day", countValue{&a.RecipientsPerDay, 0, math.MaxInt32}, "The same within a day."},
	}
}

func traceKeys(c *Config) []key {
	return []key{
		{"trace.keep", durationValue{p: &c.Trace.Keep, least: time.Second}, "Events of accepted mail."},
		{"trace.rejected_keep", durationValue{p: &c.Trace.RejectedKeep, least: time.Second}, "Events of refused mail."},
		{"trace.rejected_max", countValue{&c.Trace.RejectedMax, 0, math.MaxInt32}, "Refused messages to remember at most; 0: as many as there are."},
	}
}

func webKeys(c *Config) []key {
	return []key{
		{"web.trusted_proxies", networks(&c.Web.TrustedProxies), "Networks of reverse proxies whose X-Forwarded-For and X-Forwarded-Proto are believed."},
	}
}

// defaults returns the configuration of an empty file.
func defaults() *Config {
	return &Config{
		Data:    "/var/lib/postroom",
		Reserve: 1e9,
		Listen: ListenConfig{
			SMTP:        []string{"0.0.0.0:25"},
			Submission:  []string{"0.0.0.0:587"},
			Submissions: []string{"0.0.0.0:465"},
			POP3:        []string{"0.0.0.0:110"},
			POP3S:       []string{"0.0.0.0:995"},
			Web:         []string{"127.0.0.1:8080"},
			Metrics:     []string{"127.0.0.1:9090"},
		},
		SMTP: SMTPConfig{
			MaxMessageSize:           50e6,
			MaxRecipients:            1000,
			MaxConnections:           2000,
			MaxConnectionsPerAddress: 50,
			IdleTimeout:              5 * time.Minute,
			ConnectionsPerMinute:     120,
			MessagesPerMinute:        600,
		},
		TLS:     TLSConfig{MTASTS: "testing"},
		Inbound: InboundConfig{BlocklistsNeeded: 1, SPF: "mark", DKIM: "mark", DMARC: "enforce", OwnDomains: "enforce"},
		Auth:    AuthConfig{RequireTLS: true, BlockGuessers: true},
		Delivery: DeliveryConfig{
			Port: 25,
			Retry: []time.Duration{
				time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour,
			},
			Expire:         5 * day,
			BackupExpire:   21 * day,
			DelayNotice:    4 * time.Hour,
			ConnectTimeout: 30 * time.Second,
			CommandTimeout: 5 * time.Minute,
			Concurrency:    100,
			PerDestination: 5,
			DKIM:           true,
		},
		Limits: LimitsConfig{Account: AllowanceConfig{MessagesPerHour: 100, RecipientsPerDay: 1000}},
		Trace:  TraceConfig{Keep: 90 * day, RejectedKeep: 7 * day, RejectedMax: 1000000},
	}
}

// Where local mode keeps its data and what it is called.
const (
	localData   = "./postroom-data"
	localDomain = "example.test"
)

// localDefaults returns the configuration of local mode: ports that need no
// rights, on this machine alone.
func localDefaults() *Config {
	c := defaults()
	c.LocalMode = true
	c.Hostname = "mail." + localDomain
	c.Data = localData
	c.Listen = ListenConfig{
		SMTP:        []string{"127.0.0.1:2525"},
		Submission:  []string{"127.0.0.1:2587"},
		Submissions: []string{"127.0.0.1:2465"},
		POP3:        []string{"127.0.0.1:2110"},
		POP3S:       []string{"127.0.0.1:2995"},
		Web:         []string{"127.0.0.1:8080"},
	}
	// Checks that need DNS have nobody to ask, and the dialer keeps what is
	// delivered on loopback, which here is where all hosts are.
	c.Inbound.SPF, c.Inbound.DKIM, c.Inbound.DMARC, c.Inbound.OwnDomains = "off", "off", "off", "off"
	c.Delivery.PrivateDestinations = true
	c.TLS.MTASTS = "off"
	return c
}
