package bench

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
)

// Compose makes a message that can be made again from the same arguments, of
// about size octets: 8-bit bytes, dots at the start of lines, blanks at their
// ends, and lines of very different lengths. Its field X-Judge holds number.
func Compose(number, size int, from string) []byte {
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], uint64(number))
	random := rand.NewChaCha8(seed)
	b := fmt.Appendf(nil, "From: <%s>\r\nTo: undisclosed-recipients:;\r\nSubject: judge %d\r\nDate: Mon, 02 Jan 2006 15:04:05 +0000\r\n"+
		"Message-ID: <%d@client.judge.test>\r\nX-Judge: %d\r\n\r\n", from, number, number, number)
	for len(b) < size {
		b = appendLine(b, random, size-len(b))
	}
	return b
}

// appendLine adds a line of at most room octets, and a few more.
func appendLine(b []byte, random *rand.ChaCha8, room int) []byte {
	length := int(random.Uint64() % 120)
	switch random.Uint64() % 50 {
	case 0:
		length = 998
	case 1:
		length = room // up to 1 MB long
	case 2:
		b = append(b, '.')
	case 3:
		b = append(b, '.', '.')
	}
	length = max(0, min(length, room-2))
	start := len(b)
	b = append(b, make([]byte, length)...)
	_, _ = random.Read(b[start:])
	for i, c := range b[start:] {
		if c == 0 || c == '\r' || c == '\n' {
			b[start+i] = ' '
		}
	}
	return append(b, '\r', '\n')
}

// Plain makes a message of about size octets in short lines of random letters,
// as a benchmark sends it: text that a compressor can't win much on.
func Plain(size int) []byte {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	random := rand.New(rand.NewPCG(1, uint64(size)))
	b := []byte("From: <sender@elsewhere.test>\r\nTo: <someone@judge.test>\r\nSubject: benchmark\r\n" +
		"Date: Mon, 02 Jan 2006 15:04:05 +0000\r\nMessage-ID: <benchmark@elsewhere.test>\r\n\r\n")
	for len(b) < size-2 {
		for range min(76, size-2-len(b)) {
			b = append(b, letters[random.IntN(len(letters))])
		}
		b = append(b, '\r', '\n')
	}
	return b
}
