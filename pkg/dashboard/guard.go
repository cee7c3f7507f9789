// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
)

// policy is the Content-Security-Policy of every answer: nothing from elsewhere, no script and no style in a page.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; " +
	"base-uri 'none'; frame-ancestors 'none'"

// maxBody is how much a form may have.
const maxBody = 64 << 10

// guard lets in the browser that has shown the key, and nobody else.
type guard struct {
	port int
	// hosts are those by which a browser may know the dashboard. Any other means that somebody has its name lead here.
	hosts []string
	// cookie is the name of the cookie: cookies are shared by all ports of a host.
	cookie  string
	session string

	mu sync.Mutex
	// key is what the browser shows once, empty when it was shown.
	key string
}

func newGuard(port int) (*guard, error) {
	g := &guard{port: port, cookie: "stagegate-" + strconv.Itoa(port)}
	for _, host := range []string{"127.0.0.1", "::1", "localhost"} {
		g.hosts = append(g.hosts, net.JoinHostPort(host, strconv.Itoa(port)))
	}
	for _, secret := range []*string{&g.key, &g.session} {
		random := make([]byte, 16)
		if _, err := rand.Read(random); err != nil {
			return nil, fmt.Errorf("making a key: %w", err)
		}
		*secret = hex.EncodeToString(random)
	}
	return g, nil
}

// address is what the user opens.
func (g *guard) address() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return "http://" + g.hosts[0] + "/?key=" + g.key
}

// protect lets a request through that comes from a page of the dashboard, or from the address line of the browser that has shown the key.
func (g *guard) protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		// With no-referrer a browser would not tell which page a form comes from.
		header.Set("Referrer-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cache-Control", "no-store")
		switch {
		case !slices.Contains(g.hosts, r.Host):
			plain(w, http.StatusMisdirectedRequest, "The dashboard is at "+g.hosts[0]+" and nowhere else.")
		case !g.isOurs(r):
			plain(w, http.StatusForbidden, "The request comes from another page than one of the dashboard.")
		case r.Method == http.MethodGet && r.URL.Path == "/" && r.URL.Query().Has("key"):
			g.exchange(w, r)
		case !g.knows(r):
			plain(w, http.StatusUnauthorized, "Open the address that kubectl stagegate dashboard has printed. It opens once: start the dashboard again for another.")
		default:
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
			next.ServeHTTP(w, r)
		}
	})
}

// isOurs reports whether a request comes from a page of the dashboard, or from nothing but the user. What changes something must say so; of another
// request a browser may say nothing.
func (g *guard) isOurs(r *http.Request) bool {
	site, origin := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Origin")
	if site != "" && site != "same-origin" && site != "none" || origin != "" && origin != "http://"+r.Host {
		return false
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return true
	}
	return site == "same-origin" || origin != ""
}

// exchange takes the key and gives the cookie. The redirect takes the key off the address line and out of the history of the browser.
func (g *guard) exchange(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	right := g.key != "" && subtle.ConstantTimeCompare([]byte(r.URL.Query().Get("key")), []byte(g.key)) == 1
	if right {
		g.key = ""
	}
	g.mu.Unlock()
	if !right && !g.knows(r) {
		plain(w, http.StatusUnauthorized, "The key is not the one that kubectl stagegate dashboard has printed, or it was used. Start the dashboard again for another. "+
			"If it was not you who used it, somebody else on this machine has: end the dashboard now.")
		return
	}
	if right {
		http.SetCookie(w, &http.Cookie{Name: g.cookie, Value: g.session, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (g *guard) knows(r *http.Request) bool {
	cookie, err := r.Cookie(g.cookie)
	return err == nil && subtle.ConstantTimeCompare([]byte(cookie.Value), []byte(g.session)) == 1
}

func plain(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	// A browser that is gone by now misses nothing.
	_, _ = w.Write([]byte(text + "\n"))
}
