package smtpd

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"

	"postroom/store"
	"postroom/store/sqlite"
)

// A discardMail accepts everything and keeps nothing.
type discardMail struct{ fakeMail }

func (d *discardMail) Accept(_ context.Context, a store.Acceptance) error {
	_, err := io.Copy(io.Discard, a.Body)
	return err
}

// BenchmarkStore measures twenty sessions with the real store.
func BenchmarkStore(b *testing.B) {
	ctx := context.Background()
	db, err := sqlite.Open(ctx, sqlite.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	if _, err := db.AddDomain(ctx, store.Domain{Name: "example.test"}); err != nil {
		b.Fatal(err)
	}
	if _, err := db.AddAccount(ctx, store.Account{Address: address("alice@example.test")}); err != nil {
		b.Fatal(err)
	}
	h := serve(b, func(s *Server) { s.Mail = db })
	text := "From: x@far.test\r\nSubject: speed\r\n\r\n" + strings.Repeat(strings.Repeat("x", 76)+"\r\n", 4<<10/78) + ".\r\n"
	b.SetParallelism(10)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) { h.flood(b, pb, text) })
	h.stop()
	<-h.done
}

// BenchmarkSession measures one session that sends messages over loopback, each
// with its commands in one packet.
func BenchmarkSession(b *testing.B) {
	for name, size := range map[string]int{"4KB": 4 << 10, "100KB": 100 << 10, "2MB": 2 << 20} {
		b.Run(name, func(b *testing.B) {
			h := serve(b, func(s *Server) { s.Mail = &discardMail{} })
			text := "From: x@far.test\r\nSubject: speed\r\n\r\n" + strings.Repeat(strings.Repeat("x", 76)+"\r\n", size/78) + ".\r\n"
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) { h.flood(b, pb, text) })
		})
	}
}

// flood sends messages on one connection.
func (h *harness) flood(b *testing.B, pb *testing.PB, text string) {
	conn, err := net.Dial("tcp", h.addr)
	if err != nil {
		b.Error(err)
		return
	}
	c := newClient(b, conn)
	c.expect("220")
	c.do("EHLO client.test", "250")
	for pb.Next() {
		c.send("MAIL FROM:<x@far.test> SIZE=4000\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n")
		c.expect("250")
		c.expect("250")
		c.expect("354")
		c.send(text)
		c.expect("250")
	}
}
