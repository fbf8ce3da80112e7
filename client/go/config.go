package client

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// A Config of a Client. Only URL is required.
type Config struct {
	URL     string        // http(s)://host:port of an edge, or of the public address
	TLS     *tls.Config   // for https and wss
	HTTP    *http.Client  // default: one with bounded connections and the TLS above
	Timeout time.Duration // of one call, all its repeats included; default 20 s
	Tokens  TokenStore    // where the login lives; default in memory
}

const (
	defaultTimeout = 20 * time.Second
	maxAnswer      = 8 << 20  // bytes of one REST answer: 100 messages with all they may hold are far smaller
	maxMessage     = 64 << 20 // bytes of one gateway message: a guild with very many members
)

// A Client of one account. Any goroutine may use it.
type Client struct {
	base    string // http://host:port, without slash at the end
	http    *http.Client
	tls     *tls.Config
	timeout time.Duration
	tokens  *tokens
}

// New checks cfg and makes a client; it starts nothing.
func New(cfg Config) (*Client, error) {
	base, err := BaseURL(cfg.URL)
	if err != nil {
		return nil, err
	}
	c := &Client{base: base, http: cfg.HTTP, tls: cfg.TLS, timeout: cfg.Timeout}
	if c.timeout <= 0 {
		c.timeout = defaultTimeout
	}
	if c.http == nil {
		c.http = &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: cfg.TLS, MaxIdleConnsPerHost: 4,
			MaxConnsPerHost: 16, IdleConnTimeout: 30 * time.Second, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 5 * time.Second}}
	}
	if cfg.Tokens == nil {
		cfg.Tokens = &memory{}
	}
	c.tokens = &tokens{client: c, store: cfg.Tokens}
	return c, nil
}

// Close gives idle connections back.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// URL is the base URL, as BaseURL gives it.
func (c *Client) URL() string { return c.base }

// BaseURL brings what a person may type to the form scheme://host[:port]: without a scheme it is https, or http for this machine.
func BaseURL(s string) (string, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return "", errors.New("no URL: want http(s)://host:port")
	}
	if !strings.Contains(s, "://") {
		scheme := "https://"
		if u, err := url.Parse("//" + s); err == nil && loopback(u.Hostname()) {
			scheme = "http://"
		}
		s = scheme + s
	}
	u, err := url.Parse(s)
	if err != nil {
		return "", fmt.Errorf("URL %.100q: %w", s, errors.Unwrap(err))
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return "", fmt.Errorf("URL %.100q: want http or https", s)
	case u.Hostname() == "":
		return "", fmt.Errorf("URL %.100q: no host", s)
	case u.User != nil:
		return "", errors.New("URL: a password does not belong there")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return "", fmt.Errorf("URL %.100q: want no path after the host", s)
	}
	return u.Scheme + "://" + u.Host, nil
}

func loopback(host string) bool {
	return host == "localhost" || strings.HasPrefix(host, "127.") || host == "::1"
}
