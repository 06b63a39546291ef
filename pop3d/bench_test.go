package pop3d_test

import (
	"bufio"
	"bytes"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"

	"postroom/pop3d"
	"postroom/store"
)

// benchServer serves n messages of 4 KB without a log.
func benchServer(b *testing.B, n int) string {
	f := newFakeStore()
	message := []byte("Subject: bench\r\n\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 57))
	for i := range n {
		id := store.MessageID(i + 1)
		f.bodies[id] = message
		f.drops[1] = append(f.drops[1], store.Entry{Message: id, UID: store.UID{byte(i), byte(i >> 8), byte(i >> 16)}, Size: int64(len(message))})
	}
	s := newServer(b, f)
	s.Log = slog.New(slog.DiscardHandler)
	address, _ := serve(b, s)
	return address
}

// BenchmarkUIDL logs in, and asks for STAT and UIDL of 100,000 messages.
func BenchmarkUIDL(b *testing.B) {
	benchmarkUIDL(b, benchServer(b, 100_000), "secret")
}

func benchmarkUIDL(b *testing.B, address, password string) {
	for b.Loop() {
		c := rawDial(b, address)
		io.WriteString(c, "USER alice\r\nPASS "+password+"\r\nSTAT\r\nUIDL\r\nQUIT\r\n")
		text, err := io.ReadAll(c)
		if err != nil || bytes.Count(text, []byte("\n")) != 100_007 {
			b.Fatalf("%d octets, %v", len(text), err)
		}
		c.Close()
	}
}

// BenchmarkRETR retrieves a message of 4 KB an operation, pipelined.
func BenchmarkRETR(b *testing.B) {
	benchmarkRETR(b, benchServer(b, 1), "secret")
}

func benchmarkRETR(b *testing.B, address, password string) {
	c := rawDial(b, address)
	defer c.Close()
	io.WriteString(c, "USER alice\r\nPASS "+password+"\r\n")
	r := bufio.NewReaderSize(c, 1<<20)
	for range 3 {
		if _, err := r.ReadSlice('\n'); err != nil {
			b.Fatal(err)
		}
	}
	sent := make(chan error, 1)
	go func() {
		commands := bytes.Repeat([]byte("RETR 1\r\n"), 100)
		for left := b.N; left > 0; left -= 100 {
			if _, err := c.Write(commands[:8*min(left, 100)]); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	b.ResetTimer()
	for range b.N {
		for line := []byte{}; string(line) != ".\r\n"; {
			var err error
			if line, err = r.ReadSlice('\n'); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := <-sent; err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
}

func rawDial(b *testing.B, address string) net.Conn {
	b.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// BenchmarkStore does both with the real store.
func BenchmarkStore(b *testing.B) {
	r := newRealStore(b)
	s := newServer(b, r)
	s.Auth, s.Log = r.auth, slog.New(slog.DiscardHandler)
	message := "Subject: bench\r\n\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 57)
	fill(b, r, 100_000, message)
	address, _ := serve(b, s)
	b.Run("UIDL", func(b *testing.B) { benchmarkUIDL(b, address, password) })
	b.Run("RETR", func(b *testing.B) { benchmarkRETR(b, address, password) })
}

// fill delivers n messages, many at once.
func fill(b *testing.B, r *realStore, n int, message string) {
	const senders = 100
	done := make(chan struct{})
	for range senders {
		go func() {
			defer func() { done <- struct{}{} }()
			for range n / senders {
				r.deliver(b, message)
			}
		}()
	}
	for range senders {
		<-done
	}
}

var _ pop3d.Maildrops = (*realStore)(nil)
