package main

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A jail is a folder that a program from elsewhere takes for the whole disk, with
// its own users, spool and mail: its package conflicts with Postfix's, and its
// paths can't be changed.
type jail struct {
	t   *testing.T
	dir string
	log lockedBuffer
}

// unpacked returns the folder below which a program of a Debian package is: what
// the variable says, or / if it is installed.
func unpacked(t *testing.T, variable, program, debianPackage string) string {
	t.Helper()
	root := os.Getenv(variable)
	if root == "" {
		root = "/"
	}
	if !exists(filepath.Join(root, program)) {
		t.Skipf("needs %s (Debian package %s), installed or unpacked into the folder $%s", program, debianPackage, variable)
	}
	return root
}

// newJail makes a jail with files from below root and the libraries that they
// need. Users are given as name:id.
func newJail(t *testing.T, root string, programs, users []string) *jail {
	t.Helper()
	needRoot(t)
	dir, err := os.MkdirTemp("", "postroom-jail-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	j := &jail{t: t, dir: filepath.Join(dir, "root")} // in a folder that is closed to others
	j.folder("", 0, 0o755)
	j.folder("tmp", 0, 0o1777)
	j.folder("mail", mailID, 0o755)
	passwd, group := "root:x:0:0::/:/bin/sh\n", "root:x:0:\n"
	for _, user := range append(users, fmt.Sprintf("mail:%d", mailID)) {
		name, id, _ := strings.Cut(user, ":")
		passwd += fmt.Sprintf("%s:x:%s:%s::/:/bin/sh\n", name, id, id)
		group += fmt.Sprintf("%s:x:%s:\n", name, id)
	}
	j.file("etc/passwd", passwd)
	j.file("etc/group", group)
	j.file("dev/null", "")
	for _, program := range programs {
		j.bring(filepath.Join(root, program), program)
	}
	return j
}

// mailID owns what the receivers of these tests deliver.
const mailID = 5000

func (j *jail) path(name string) string { return filepath.Join(j.dir, name) }

// folder makes a folder that belongs to the user id.
func (j *jail) folder(name string, id int, mode os.FileMode) {
	j.t.Helper()
	path := j.path(name)
	if err := os.MkdirAll(path, 0o755); err != nil {
		j.t.Fatal(err)
	}
	if err := os.Chown(path, id, id); err != nil {
		j.t.Fatal(err)
	}
	if mode&0o1000 != 0 {
		mode = mode&0o777 | fs.ModeSticky
	}
	if err := os.Chmod(path, mode); err != nil {
		j.t.Fatal(err)
	}
}

func (j *jail) file(name, content string) {
	j.t.Helper()
	j.folder(filepath.Dir(name), 0, 0o755)
	if err := os.WriteFile(j.path(name), []byte(content), 0o644); err != nil {
		j.t.Fatal(err)
	}
}

// bring copies a program in, with its libraries.
func (j *jail) bring(from, to string) {
	j.t.Helper()
	j.copy(from, to)
	out := runProgram(j.t, nil, nil, "ldd", from)
	if strings.Contains(out, "not found") {
		j.t.Fatalf("%s lacks a library:\n%s", from, out)
	}
	for _, library := range regexp.MustCompile(`/\S+`).FindAllString(out, -1) {
		if library = strings.TrimSuffix(library, ":"); library != from && !exists(j.path(library)) {
			j.copy(library, library)
		}
	}
}

func (j *jail) copy(from, to string) {
	j.t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		j.t.Fatal(err)
	}
	j.file(to, string(content))
	if err := os.Chmod(j.path(to), 0o755); err != nil {
		j.t.Fatal(err)
	}
}

// command prepares a program in the jail.
func (j *jail) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: j.dir, Setpgid: true}
	cmd.Dir, cmd.Env = "/", []string{"PATH=/bin:/usr/sbin"}
	return cmd
}

// run starts a server in the jail, which is stopped when the test ends.
func (j *jail) run(program string, args ...string) {
	j.t.Helper()
	cmd := j.command(program, args...)
	cmd.Stdout, cmd.Stderr = &j.log, &j.log
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		j.t.Fatal(err)
	}
	j.t.Cleanup(func() {
		if j.t.Failed() {
			j.t.Logf("%s says:\n%s", program, j.log.String())
		}
		_ = cmd.Process.Signal(syscall.SIGTERM)
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
		}
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // whatever it has left
	})
}
