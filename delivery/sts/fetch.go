package sts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"
)

// Bounds of a fetch (RFC 8461 section 3.3).
const (
	fetchTimeout = time.Minute
	maxPolicy    = 64 << 10
)

// fetch gets a domain's policy from its web server.
func (s *Policies) fetch(ctx context.Context, domain string) (p Policy, maxAge time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	url := "https://mta-sts." + domain + "/.well-known/mta-sts.txt"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return Policy{}, 0, fmt.Errorf("fetch policy: %w", err)
	}
	response, err := s.httpClient().Do(request)
	if err != nil {
		return Policy{}, 0, fmt.Errorf("fetch policy: %w", err)
	}
	defer response.Body.Close()
	text, err := policyText(response)
	if err != nil {
		return Policy{}, 0, fmt.Errorf("fetch policy: %w", err)
	}
	if p, maxAge, err = parsePolicy(text); err != nil {
		return Policy{}, 0, fmt.Errorf("read policy: %w", err)
	}
	return p, maxAge, nil
}

func (s *Policies) httpClient() *http.Client {
	client := http.Client{}
	if s.HTTP != nil {
		client = *s.HTTP
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client.Jar = nil
	return &client
}

// policyText returns what the server has answered, if it can be a policy: only
// plain text, because others than the domain's owner may put other things on its
// web server.
func policyText(r *http.Response) (string, error) {
	if r.StatusCode != http.StatusOK {
		return "", fmt.Errorf("the answer is %s", r.Status)
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "text/plain" {
		return "", fmt.Errorf("its type is %.50q, not text/plain", r.Header.Get("Content-Type"))
	}
	text, err := io.ReadAll(io.LimitReader(r.Body, maxPolicy+1))
	if err != nil {
		return "", err
	}
	if len(text) > maxPolicy {
		return "", errors.New("it is too large")
	}
	return string(text), nil
}
