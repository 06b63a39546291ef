package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"postroom/cmd/postroom/bench"
)

// benchCmd measures this very program, as a child process with an empty data
// folder.
type benchCmd struct {
	Speed    benchSpeed    `cmd:"" group:"commands" default:"withargs" help:"Messages a second from the client into the maildrops (without a command)."`
	Crash    benchCrash    `cmd:"" group:"commands" help:"Kill a server again and again, and judge whether anything promised is lost."`
	Outbound benchOutbound `cmd:"" group:"commands" help:"What destinations that hang, refuse or put off cost the mail to the others."`
	Checks   benchChecks   `cmd:"" group:"commands" help:"What the checks of mail from other servers cost clean mail."`
	Backlog  benchBacklog  `cmd:"" group:"commands" help:"Start, memory and fresh mail with a million recipients in the queue."`
}

type benchSpeed struct {
	Duration    time.Duration `default:"10s" help:"The least time of each cell."`
	Runs        int           `default:"1" help:"Runs of each cell; the medians are shown."`
	Connections []int         `default:"1,20,100" help:"Connections at once, one cell for each."`
	Sizes       []string      `default:"4KB,100KB" help:"Sizes of a message, one cell for each; KB are 1024 octets here."`
	Target      []string      `sep:"none" placeholder:"NAME,SMTP,POP3,USER,PASSWORD" help:"A running server to drive too, such as postfix,127.0.0.10:25,127.0.0.10:110,%du@local.test,secret."`
	Fill        string        `default:"0" help:"Fill the store to this size first, such as 2GB."`
	WAL         bool          `name:"wal" help:"Load it fully for a minute instead, and watch the WAL and the slowest accept."`
	JSON        bool          `name:"json" help:"Print JSON for programs to read, a line for each cell."`
	Dir         string        `placeholder:"FOLDER" help:"Where the server's folder is made; otherwise a temporary one."`
}

// Run measures.
func (c *benchSpeed) Run(ctx context.Context, s *shell) error {
	speed := bench.Speed{Duration: c.Duration, Runs: c.Runs, Connections: c.Connections, WAL: c.WAL, JSON: c.JSON, Dir: c.Dir}
	for _, text := range c.Sizes {
		size, err := bench.ParseSize(text)
		if err != nil {
			return usagef("--sizes: %v", err)
		}
		speed.Sizes = append(speed.Sizes, int(size))
	}
	for _, text := range c.Target {
		target, err := bench.ParseTarget(text)
		if err != nil {
			return usagef("--target: %v", err)
		}
		speed.Targets = append(speed.Targets, target)
	}
	var err error
	if speed.Fill, err = bench.ParseSize(c.Fill); err != nil {
		return usagef("--fill: %v", err)
	}
	return measured(ctx, func(ctx context.Context, program string) error {
		speed.Program = program
		return speed.Run(ctx, s.out)
	})
}

type benchCrash struct {
	Rounds  int    `default:"50" help:"How often the server is killed."`
	Senders int    `default:"20" help:"How many send at once."`
	Seed    uint64 `placeholder:"N" help:"Choose the same moments again, as far as the machine does."`
	Dir     string `placeholder:"FOLDER" help:"Where the server's folder is made; otherwise a temporary one."`
}

// Run kills and judges.
func (c *benchCrash) Run(ctx context.Context, s *shell) error {
	return measured(ctx, func(ctx context.Context, program string) error {
		return bench.Crash{Program: program, Rounds: c.Rounds, Senders: c.Senders, Seed: c.Seed, Dir: c.Dir}.Run(ctx, s.out)
	})
}

type benchOutbound struct {
	Destinations int    `default:"1000" help:"Destinations in all; 30 of them are sick. A multiple of 10, at least 100."`
	Messages     int    `default:"6" help:"Messages to each."`
	Pairs        int    `default:"5" help:"Pairs of cells, with and without the sick ones."`
	JSON         bool   `name:"json" help:"Print JSON for programs to read, a line for each cell."`
	Dir          string `placeholder:"FOLDER" help:"Where the servers' folders are made; otherwise a temporary one."`
}

// Run measures.
func (c *benchOutbound) Run(ctx context.Context, s *shell) error {
	if c.Destinations < 100 || c.Destinations%10 != 0 {
		return usagef("--destinations: a multiple of 10, at least 100, not %d", c.Destinations)
	}
	return measured(ctx, func(ctx context.Context, program string) error {
		o := bench.Outbound{Program: program, Dir: c.Dir, Destinations: c.Destinations, Messages: c.Messages, Pairs: c.Pairs, JSON: c.JSON}
		return o.Run(ctx, s.out)
	})
}

type benchBacklog struct {
	Messages     int    `default:"50000" help:"Messages in the queue."`
	Recipients   int    `default:"20" help:"Recipients of each, 1000 at the most."`
	Destinations int    `default:"20000" help:"Domains that they are at."`
	JSON         bool   `name:"json" help:"Print JSON for programs to read."`
	Dir          string `placeholder:"FOLDER" help:"Where the server's folder is made; otherwise a temporary one."`
}

// Run measures and judges.
func (c *benchBacklog) Run(ctx context.Context, s *shell) error {
	if c.Messages < 1 || c.Recipients < 1 || c.Destinations < 3 {
		return usagef("a backlog needs a message, a recipient and three destinations at least")
	}
	return measured(ctx, func(ctx context.Context, program string) error {
		b := bench.Backlog{Program: program, Dir: c.Dir, Messages: c.Messages, Recipients: c.Recipients, Destinations: c.Destinations, JSON: c.JSON}
		return b.Run(ctx, s.out)
	})
}

type benchChecks struct {
	Duration    time.Duration `default:"5s" help:"The least time of each half of a pair."`
	Pairs       int           `default:"5" help:"Pairs, with checks and without; the median is shown."`
	Size        string        `default:"4KB" help:"Size of a message."`
	Connections int           `default:"20" help:"Connections at once."`
	JSON        bool          `name:"json" help:"Print JSON for programs to read, a line for each pair."`
	Dir         string        `placeholder:"FOLDER" help:"Where the servers' folders are made; otherwise a temporary one."`
}

// Run measures.
func (c *benchChecks) Run(ctx context.Context, s *shell) error {
	size, err := bench.ParseSize(c.Size)
	if err != nil {
		return usagef("--size: %v", err)
	}
	if c.Pairs < 1 || c.Connections < 1 {
		return usagef("a comparison needs a pair and a connection at least")
	}
	return measured(ctx, func(ctx context.Context, program string) error {
		checks := bench.Checks{
			Program: program, Dir: c.Dir, Duration: c.Duration, Pairs: c.Pairs, Size: int(size), Connections: c.Connections, JSON: c.JSON,
		}
		return checks.Run(ctx, s.out)
	})
}

// measured runs f with the path of this program, until a signal comes.
func measured(ctx context.Context, f func(ctx context.Context, program string) error) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	ctx, unhook := signal.NotifyContext(ctx, unix.SIGINT, unix.SIGTERM)
	defer unhook()
	raiseFileLimit()
	return f(ctx, program)
}
