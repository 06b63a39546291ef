package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"golang.org/x/sys/unix"
)

// maxPassword bounds what is read, in octets.
const maxPassword = 1024

// readPasswordLine reads one line and cuts its ending; blanks in it stay.
func readPasswordLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, maxPassword+2)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read password: %w", err)
	}
	line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	switch {
	case line == "":
		return "", errors.New("the password is empty")
	case len(line) > maxPassword:
		return "", fmt.Errorf("the password is longer than %d octets", maxPassword)
	}
	return line, nil
}

// terminal returns where a password can be asked for.
func (s *shell) terminal() (*os.File, error) {
	terminal, ok := s.in.(*os.File)
	if !ok || !isTerminal(terminal) {
		return nil, usagef("there is no terminal to ask for a password at: use --password-stdin")
	}
	return terminal, nil
}

// askOnce asks at the terminal for a password that there is already, without
// echo.
func (s *shell) askOnce(prompt string) (string, error) {
	terminal, err := s.terminal()
	if err != nil {
		return "", err
	}
	return s.readHidden(terminal, prompt)
}

// askPassword asks twice at the terminal for a new password, without echo.
func (s *shell) askPassword(address string) (string, error) {
	terminal, err := s.terminal()
	if err != nil {
		return "", err
	}
	first, err := s.readHidden(terminal, "New password for "+address+": ")
	if err != nil {
		return "", err
	}
	second, err := s.readHidden(terminal, "Once more: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", errors.New("the two passwords are not the same; nothing was changed")
	}
	return first, nil
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// readHidden reads a line that the terminal doesn't show. An interrupt gives the
// terminal its echo back before it ends the program.
func (s *shell) readHidden(terminal *os.File, prompt string) (string, error) {
	fd := int(terminal.Fd())
	before, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return "", fmt.Errorf("terminal: %w", err)
	}
	silent := *before
	silent.Lflag &^= unix.ECHO
	silent.Lflag |= unix.ICANON | unix.ISIG
	restore := func() { _ = unix.IoctlSetTermios(fd, unix.TCSETS, before) }

	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, unix.SIGINT, unix.SIGTERM)
	done := make(chan struct{})
	defer close(done)
	defer signal.Stop(interrupted)
	go func() {
		select {
		case <-interrupted:
			restore()
			fmt.Fprintln(s.err)
			os.Exit(statusFailed)
		case <-done:
		}
	}()

	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &silent); err != nil {
		return "", fmt.Errorf("terminal: %w", err)
	}
	defer fmt.Fprintln(s.err)
	defer restore()
	fmt.Fprint(s.err, prompt)
	return readPasswordLine(oneByteReader{terminal})
}

// A oneByteReader keeps a buffered reader from taking what comes after the line.
type oneByteReader struct{ r io.Reader }

func (o oneByteReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	return o.r.Read(p[:1])
}
