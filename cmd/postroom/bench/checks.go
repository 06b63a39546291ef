package bench

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/emersion/go-msgauth/dkim"
)

// Checks measures what the checks of mail from others cost clean mail: signed with
// DKIM, allowed by SPF, of a domain whose DMARC policy is to refuse what isn't. Two
// servers, one without checks and one with all that are on by default, take the same
// message in turn; a name server on loopback answers.
type Checks struct {
	Program     string
	Dir         string // holds the servers' folders; empty: a temporary one, removed afterwards
	Duration    time.Duration
	Pairs       int
	Size        int // octets of a message
	Connections int
	JSON        bool // print a line of JSON for each pair
}

// A Pair is one comparison.
type Pair struct {
	Without float64 `json:"without_per_second"`
	With    float64 `json:"with_per_second"`
	Ratio   float64 `json:"ratio"`
}

// Run measures the pairs and prints them with the median of their ratios.
func (c Checks) Run(ctx context.Context, out io.Writer) (err error) {
	dir := c.Dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "postroom-bench-"); err != nil {
			return fmt.Errorf("temporary folder: %w", err)
		}
		defer os.RemoveAll(dir)
	}
	message, key, err := signed(c.Size)
	if err != nil {
		return err
	}
	names, err := StartDNS(
		`elsewhere.test. 300 IN TXT "v=spf1 ip4:127.0.0.0/8 -all"`,
		`_dmarc.elsewhere.test. 300 IN TXT "v=DMARC1; p=reject"`, key,
	)
	if err != nil {
		return err
	}
	defer names.Close()
	var targets [2]Target
	for i, mode := range []string{"without", "with"} {
		server, target, err2 := c.start(ctx, filepath.Join(dir, mode), names.Addr, i == 1)
		if err2 != nil {
			return fmt.Errorf("server %s checks: %w", mode, err2)
		}
		defer func() { err = errors.Join(err, server.Stop()) }()
		target.Name, target.Message = mode, message
		targets[i] = target
	}
	return c.measure(ctx, targets, out)
}

// start starts a server that asks a name server, with or without checks.
func (c Checks) start(ctx context.Context, dir, names string, checks bool) (*Server, Target, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, Target{}, err
	}
	server, err := NewServer(c.Program, dir)
	if err != nil {
		return nil, Target{}, err
	}
	server.Env = append(server.Env, "POSTROOM_DNS_SERVERS="+names)
	if checks {
		server.Env = append(server.Env, "POSTROOM_INBOUND_SPF=mark", "POSTROOM_INBOUND_DKIM=mark",
			"POSTROOM_INBOUND_DMARC=enforce", "POSTROOM_INBOUND_OWN_DOMAINS=enforce")
	}
	return startTarget(ctx, server)
}

func (c Checks) measure(ctx context.Context, targets [2]Target, out io.Writer) error {
	var ratios []float64
	for n := range c.Pairs {
		var rates [2]float64
		for i := range targets {
			i = (i + n) % 2 // each is the first as often as the other
			r, err := measure(ctx, targets[i], c.Size, c.Connections, c.Duration, &Server{})
			if err != nil {
				return fmt.Errorf("%s checks: %w", targets[i].Name, err)
			}
			rates[i] = r.PerSecond
		}
		p := Pair{rates[0], rates[1], rates[1] / rates[0]}
		ratios = append(ratios, p.Ratio)
		if err := c.print(out, p); err != nil {
			return err
		}
	}
	slices.Sort(ratios)
	if !c.JSON {
		fmt.Fprintf(out, "with checks clean mail keeps %.0f %% of the throughput without (median of %d pairs)\n", 100*ratios[len(ratios)/2], c.Pairs)
	}
	return nil
}

func (c Checks) print(out io.Writer, p Pair) error {
	if c.JSON {
		return json.NewEncoder(out).Encode(p)
	}
	_, err := fmt.Fprintf(out, "without checks %.0f/s, with checks %.0f/s: %.0f %%\n", p.Without, p.With, 100*p.Ratio)
	return err
}

// signed returns a message with a signature, and its key's record.
func signed(size int) (message []byte, record string, err error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, "", fmt.Errorf("make a key: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, "", fmt.Errorf("publish a key: %w", err)
	}
	var b bytes.Buffer
	err = dkim.Sign(&b, bytes.NewReader(Plain(size)), &dkim.SignOptions{
		Domain: "elsewhere.test", Selector: "k", Signer: key,
		HeaderCanonicalization: "relaxed", BodyCanonicalization: "relaxed",
	})
	if err != nil {
		return nil, "", fmt.Errorf("sign a message: %w", err)
	}
	text := base64.StdEncoding.EncodeToString(public)
	return b.Bytes(), fmt.Sprintf(`k._domainkey.elsewhere.test. 300 IN TXT "v=DKIM1; k=rsa; p=%s" "%s"`, text[:200], text[200:]), nil
}
