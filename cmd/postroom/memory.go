package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// heapLimit is how far Go's memory may grow, in octets, before it is collected
// more eagerly. A few passwords that are hashed at once would otherwise leave
// twice what they need behind.
const heapLimit = 72 << 20

// limitMemory keeps the server small until ctx ends. The limit follows what is
// in use: with thousands of sessions a fixed one would have the collector run
// all the time and free nothing.
func limitMemory(ctx context.Context) error {
	ticker := time.NewTicker(5 * time.Second)
	defer ticker.Stop()
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	for {
		metrics.Read(samples)
		inUse := int64(samples[0].Value.Uint64() + samples[1].Value.Uint64())
		debug.SetMemoryLimit(max(heapLimit, inUse+inUse/2))
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}
