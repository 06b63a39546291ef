package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"

	"golang.org/x/sys/unix"

	"postroom/store/sqlite"
)

type backupCmd struct {
	File string `arg:"" help:"The new file; it must not be there yet."`
}

// Run takes a backup, in the server if one is running.
func (c *backupCmd) Run(ctx context.Context, s *shell) error {
	ctx, unhook := signal.NotifyContext(ctx, unix.SIGINT, unix.SIGTERM) // nothing half made stays behind
	defer unhook()
	file, err := filepath.Abs(c.File) // the server may be in another folder
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	conn, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.close()
	body, err := post(ctx, conn.client, "backup", fileRequest{file})
	if err != nil {
		return err
	}
	defer body.Close()
	if err := s.follow(json.NewDecoder(body)); err != nil {
		return err
	}
	fmt.Fprintf(s.out, "Wrote the backup %s%s.\n", file, sizeOf(file))
	return nil
}

// follow shows the steps of a backup until its end.
func (s *shell) follow(steps *json.Decoder) error {
	line := s.progress()
	defer line.clear()
	for {
		var step backupStep
		if err := steps.Decode(&step); err != nil {
			return fmt.Errorf("the backup broke off: %w", err)
		}
		switch {
		case step.Ended && step.Error != "":
			return errors.New(step.Error)
		case step.Ended:
			return nil
		case step.Total > 0:
			line.show(fmt.Sprintf("%3d %% of %s", 100*step.Done/step.Total, humanSize(step.Total)))
		}
	}
}

func sizeOf(file string) string {
	info, err := os.Stat(file)
	if err != nil {
		return ""
	}
	return ", " + humanSize(info.Size())
}

type restoreCmd struct {
	File string `arg:"" help:"The backup."`
}

// Help is shown by restore --help.
func (*restoreCmd) Help() string {
	return "The data folder must have no mail in it yet: nothing is ever written over. Mail that was waiting to be sent comes back held, " +
		"because some of it may have been sent after the backup: look at “postroom queue list”, then “postroom queue release”."
}

// Run restores a backup into the configured data folder.
func (c *restoreCmd) Run(ctx context.Context, s *shell) error {
	conf, err := s.config()
	if err != nil {
		return err
	}
	if err := refuseSecond(ctx, conf); err != nil {
		return fmt.Errorf("%w; a backup is restored into a new folder, with no server on it", err)
	}
	options, err := storeOptions(conf, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	if err := sqlite.Restore(ctx, c.File, options); err != nil {
		return openError(conf, err)
	}
	fmt.Fprintf(s.out, "Restored %s into %s. Mail that was waiting to be sent is held: postroom queue list, postroom queue release --all.\n", c.File, conf.Data)
	return nil
}
