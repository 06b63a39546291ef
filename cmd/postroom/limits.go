package main

import "postroom/store"

// allowances returns what may be sent, as the configuration says.
func allowances(conf *Config) store.Allowances {
	l := conf.Limits
	return store.Allowances{Account: l.Account.allowance(), Domain: l.Domain.allowance(), Server: l.Server.allowance()}
}

func (a AllowanceConfig) allowance() store.Allowance {
	limit := func(n int) int64 {
		if n == 0 {
			return store.NoLimit
		}
		return int64(n)
	}
	return store.Allowance{
		MessagesPerHour:   limit(a.MessagesPerHour),
		MessagesPerDay:    limit(a.MessagesPerDay),
		RecipientsPerHour: limit(a.RecipientsPerHour),
		RecipientsPerDay:  limit(a.RecipientsPerDay),
	}
}
