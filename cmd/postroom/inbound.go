package main

import (
	"time"

	"postroom/smtpd/policy"
	"postroom/store/mail"
	"postroom/store/sqlite"
)

// A door is what is remembered of those who come to the SMTP ports, and of the
// lists that are asked about them. It outlives changes of the configuration.
type door struct {
	// Who hammers one service is still served by the others.
	connections map[string]*policy.Rate
	messages    policy.Rate
	unknown     policy.Tally
	lists       policy.ListHealth
	refused     chan refusedList
	look        chan struct{} // capacity 1: the lists have changed
}

// A refusedList is a list that says that we may not ask it.
type refusedList struct{ zone, why string }

func newDoor() *door {
	d := &door{
		connections: map[string]*policy.Rate{"smtp": {}, "submission": {}, "submissions": {}},
		refused:     make(chan refusedList, 16),
		look:        make(chan struct{}, 1),
	}
	d.lists.Refused = func(zone, why string) {
		select {
		case d.refused <- refusedList{zone, why}:
		default: // it will be said again
		}
	}
	return d
}

// lookAgain has the lists looked at soon.
func (d *door) lookAgain() {
	select {
	case d.look <- struct{}{}:
	default:
	}
}

// rules are the checks of one SMTP service. Of those who come to the submission
// ports nothing is looked at but how often they come: they log in, or get nowhere.
func (sv *server) rules(name string, conf *Config) policy.Rules {
	access := policy.Access{List: sv.store.Access, Now: time.Now}
	rules := policy.Rules{Connection: policy.Chain[struct{}]{
		access.OfClient(),
		policy.Connections(sv.door.connections[name], conf.SMTP.ConnectionsPerMinute),
	}}
	if name == "smtp" {
		return sv.inboundRules(conf, rules)
	}
	return rules
}

// inboundRules adds what mail from other servers must pass.
func (sv *server) inboundRules(conf *Config, rules policy.Rules) policy.Rules {
	if conf.SMTP.BannerDelay > 0 {
		rules.Connection = append(rules.Connection, policy.Delay(conf.SMTP.BannerDelay))
	}
	checks := mailChecks(conf, sv.store, sv.network.Load().names, &sv.door.lists)
	rules.Sender = append(policy.Chain[mail.Address]{
		policy.Access{List: sv.store.Access, Now: time.Now}.OfSender(),
		policy.Messages(&sv.door.messages, conf.SMTP.MessagesPerMinute),
	}, checks.Sender...)
	rules.Recipient, rules.Message = checks.Recipient, checks.Message
	return rules
}

// mailChecks are the checks that look at mail from other servers and count
// nothing: what "postroom check message" asks too. The admin's own lists come
// first.
func mailChecks(conf *Config, s *sqlite.Store, names names, health *policy.ListHealth) policy.Rules {
	access := policy.Access{List: s.Access, Now: time.Now}
	rules := policy.Rules{
		Recipient: policy.Chain[policy.Recipient]{access.OfRecipient()},
		Message:   policy.Chain[*policy.Message]{access.OfMessage()},
	}
	if lists := blocklists(conf, names, health); len(lists.Clients)+len(lists.Domains) > 0 {
		rules.Sender = append(rules.Sender, lists.Begin())
		rules.Recipient = append(rules.Recipient, lists.OfRecipient())
		rules.Message = append(rules.Message, lists.OfMessage())
	}
	rules.Message = append(rules.Message, authentication(conf, s, names).Check())
	return rules
}

func blocklists(conf *Config, names names, health *policy.ListHealth) *policy.Blocklists {
	in := conf.Inbound
	return &policy.Blocklists{
		DNS: names, Clients: in.Blocklists, Domains: in.DomainBlocklists, Needed: in.BlocklistsNeeded, Health: health,
	}
}
