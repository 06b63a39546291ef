package main

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"postroom/store/zone"
)

// How often the watch looks: soon after the start, then daily, or sooner where the
// DNS couldn't be asked.
const (
	watchFirst = time.Minute
	watchAgain = 24 * time.Hour
	watchRetry = time.Hour
)

// watchDNS looks now and then at what the DNS says about our domains.
func (sv *server) watchDNS(ctx context.Context) error {
	return watchZones(ctx, sv.admin.AllDNS, sv.log.With("service", "dns"))
}

// watchZones looks until ctx ends. By looking, concerns come and go with what is
// wrong, and keys begin to sign whose records are there.
func watchZones(ctx context.Context, look func(context.Context) ([]zone.Report, error), log *slog.Logger) error {
	timer := time.NewTimer(watchFirst)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		timer.Reset(watchAgain)
		reports, err := look(ctx)
		if err != nil && ctx.Err() == nil {
			log.Error("cannot look at what the DNS says", "err", err)
		}
		if err != nil || slices.ContainsFunc(reports, isUnknown) {
			timer.Reset(watchRetry)
		}
		for _, r := range reports {
			if !r.OK {
				log.Warn("the DNS doesn't say what it must, or couldn't be asked: postroom check dns", "domain", r.Domain)
			}
		}
	}
}

// isUnknown reports whether something couldn't be looked up.
func isUnknown(r zone.Report) bool {
	return slices.ContainsFunc(r.Records, func(rec zone.Record) bool { return rec.State == zone.Unknown })
}
