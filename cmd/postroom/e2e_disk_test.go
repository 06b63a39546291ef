package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"postroom/cmd/postroom/bench"
)

// startSiteOnSmallDisk starts a server whose data folder is a file system of its
// own of size octets, such as "96m".
func startSiteOnSmallDisk(t *testing.T, size string, env ...string) *site {
	t.Helper()
	needRoot(t)
	s := prepareSite(t, env...)
	if err := os.Mkdir(s.Data(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", s.Data(), "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("needs the right to mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		err := errors.Join(s.Kill(), unix.Unmount(s.Data(), unix.MNT_DETACH))
		if err != nil {
			t.Error(err)
		}
	})
	s.start()
	s.addAccounts("alice@judge.test", "bob@judge.test")
	return s
}

// filler is the file that fills the disk.
func (s *site) filler() string { return filepath.Join(s.Data(), "filler") }

// leave fills the disk until so many octets are free.
func (s *site) leave(free int64) {
	s.t.Helper()
	f, err := os.OpenFile(s.filler(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	for s.free() > free {
		if _, err := f.Write(make([]byte, min(64<<10, s.free()-free))); err != nil && !errors.Is(err, unix.ENOSPC) {
			s.t.Fatal(err)
		}
	}
}

func (s *site) free() int64 {
	s.t.Helper()
	var fs unix.Statfs_t
	if err := unix.Statfs(s.Data(), &fs); err != nil {
		s.t.Fatal(err)
	}
	return int64(fs.Bavail) * fs.Bsize
}

// makeRoom takes the filler away.
func (s *site) makeRoom() {
	s.t.Helper()
	if err := os.Remove(s.filler()); err != nil {
		s.t.Fatal(err)
	}
}

// refusedWith returns the reply with which MAIL is refused now, "" if it isn't.
func (s *site) refusedWith() string {
	s.t.Helper()
	c, err := bench.DialSMTP(s.t.Context(), s.SMTP)
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Quit()
	_, err = c.Command("MAIL FROM:<someone@elsewhere.test>")
	if err == nil {
		return ""
	}
	var refusal *bench.SMTPError
	if !errors.As(err, &refusal) {
		s.t.Fatal(err)
	}
	return refusal.Text
}

func TestBelowTheDiskReserveMailIsPutOff(t *testing.T) {
	s := startSiteOnSmallDisk(t, "200m") // the reserve is 2 % of it
	s.send("someone@elsewhere.test", "alice@judge.test", large(100_000))
	s.leave(3 << 20)
	s.until("MAIL is put off", func() bool { return strings.HasPrefix(s.refusedWith(), "452 4.3.1 ") })

	c := s.open("alice@judge.test")
	if _, err := c.Retrieve(1); err != nil {
		t.Error(err)
	}
	if err := errors.Join(c.Delete(1), c.Quit()); err != nil {
		t.Errorf("delete on a full disk: %v", err)
	}
	s.emptied("alice@judge.test")

	s.makeRoom()
	s.until("MAIL is taken again", func() bool { return s.refusedWith() == "" })
	s.works()
}

// TestADiskWithNothingLeft goes past the reserve: the last octet is taken while
// a message is under way.
func TestADiskWithNothingLeft(t *testing.T) {
	s := startSiteOnSmallDisk(t, "200m")
	kept := large(100_000)
	s.send("someone@elsewhere.test", "alice@judge.test", kept)
	c, err := bench.DialSMTP(t.Context(), s.SMTP)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Quit()
	if _, err := c.Begin("someone@elsewhere.test", "bob@judge.test"); err != nil {
		t.Fatal(err)
	}
	s.leave(0)
	_, _, err = c.Data(bench.DotStuff(large(8_000_000)))
	var refusal *bench.SMTPError
	if !errors.As(err, &refusal) || refusal.Code/100 != 4 {
		t.Errorf("a message that can't be written is answered %v", err)
	}
	s.makeRoom()
	s.until("MAIL is taken again", func() bool { return s.refusedWith() == "" })
	s.works()
	endsWith(t, s.await("alice@judge.test", 1)[0], kept)
	s.stop()
	if found, err := bench.Integrity(t.Context(), s.database()); err != nil || found != "ok" {
		t.Errorf("integrity_check: %s, %v", found, err)
	}
}

func (s *site) database() string { return filepath.Join(s.Data(), "postroom.db") }
