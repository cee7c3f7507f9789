// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// boardReason is what somebody writes who wants a script to run on the page of whoever reads it.
const boardReason = `CHG-1042 <img src=x onerror="window.attacked=true"><script>window.attacked=true</script>`

// testDashboard clicks through a rollout in a real browser: judy has the edit role of a namespace and karl approves there. It takes half a minute, most
// of it for the namespace to get to the members.
func testDashboard(t *testing.T, s *suite) {
	if os.Getenv("E2E_WITHOUT_CHROMIUM") != "" {
		t.Skip("E2E_WITHOUT_CHROMIUM is set")
	}
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("There is no chromium on the PATH: apt-get install --no-install-recommends chromium, as .ci/run does, or leave this part out with E2E_WITHOUT_CHROMIUM=1.")
	}
	t.Cleanup(func() {
		s.mustRunInCleanup(t, "kubectl delete ns board --ignore-not-found --wait=false; kubectl delete crp board --ignore-not-found")
	})
	s.explain(t, "sur,areq,rp,rb,sus -n board", "crp/board")
	s.newTeam(t, "board", "judy", "karl")
	p := plugin{t, s}

	browser := startBrowser(t, chromium)
	judy, karl := s.openDashboard(t, browser, "judy"), s.openDashboard(t, browser, "karl")
	// She owns a namespace and nothing else, and is told so.
	judy.sees("#notices", "You may not list ClusterStagedUpdateRuns.")
	judy.sees("#runs", "There are no runs yet.")
	p.wants("judy", "kubectl stagegate run rp/settings -n board --strategy=rings --name=first", "sur/first -n board created")
	// The page is not loaded again.
	judy.sees("#runs", "Planned")
	judy.click(`a[href="/namespaces/board/runs/first"]`)
	judy.sees("#run", "Planned")
	judy.click(`a[href="/namespaces/board/runs/first/start"]`)
	judy.click("dialog[open] button")
	judy.sees("#did", "The run is started.")
	judy.sees("#run", "Waiting for approval")
	judy.sees("#run", `Approve is off: user "judy" has created the run, and the approval must be by others.`)
	judy.sees("#run", "Reject is off: you lack create and update on approvalrequests/reject in namespace board.")

	// What is off the hub refuses too.
	judy.open("/namespaces/board/approvals/first-before-canary/approve")
	judy.fill("textarea[name=reason]", "mine")
	judy.click("form.act button")
	judy.sees("#act [role=alert]", "The hub refuses it, and nothing was done.")
	judy.sees("#act [role=alert]", "forbidden")
	judy.open("/namespaces/board/runs/first")

	karl.open("/approvals")
	karl.sees("#approvals", "Wait for you 1")
	karl.sees("#approvals", "The stage moves 2 clusters to snapshot 0 of ResourcePlacement board/settings:")
	karl.click(`a[href="/namespaces/board/approvals/first-before-canary/approve"]`)
	karl.fill("dialog[open] textarea[name=reason]", boardReason)
	karl.click("dialog[open] button")
	karl.sees("#did", "Your approval is recorded.")
	for name, tab := range map[string]*tab{"judy": judy, "karl": karl} {
		tab.sees("#run", "Succeeded")
		tab.sees("#history", "CHG-1042 <img src=x onerror")
		tab.isNot("window.attacked === true || document.querySelector('main img, main script') !== null", "the reason was obeyed on the page of "+name)
	}
	if err := s.values(t.Context(), "board", "settings", onAll("value1")); err != nil {
		t.Error(err)
	}
	p.wants("judy", "kubectl stagegate history sur/first -n board", "CHG-1042 <img src=x")

	// Even where a page could be made to have a script in it, the policy lets none run.
	karl.is(`new Promise((done) => {
		addEventListener("securitypolicyviolation", (event) => done(event.effectiveDirective === "script-src-attr" && window.attacked === undefined), {once: true});
		document.getElementById("main").insertAdjacentHTML("beforeend", '<img src="data:," onerror="window.attacked=true">');
	})`, "an inline script runs, or the policy does not say that it must not")

	t.Run("Placement", func(t *testing.T) {
		plugin{t, s}.do("judy", `kubectl patch cm settings -n board --type=merge -p '{"data":{"key":"value2"}}'
kubectl wait -n board resourcesnapshot/settings-1-snapshot --for=create --timeout=1m`)
		judy.open("/namespaces/board/placements/settings?from=0&to=1")
		judy.sees("#versions", "ConfigMap board/settings changed")
		judy.sees("#versions del", "value1")
		judy.sees("#versions ins", "value2")
	})
	t.Run("LoopbackOnly", func(t *testing.T) {
		for _, tab := range []*tab{judy, karl} {
			addresses := listening(t, tab.port(t))
			if len(addresses) == 0 {
				t.Error("nobody listens")
			}
			for _, a := range addresses {
				if !a.IsLoopback() {
					t.Errorf("it listens on %s", a)
				}
			}
		}
	})
	t.Run("TheKeyOpensOnce", func(t *testing.T) {
		for _, address := range []string{judy.address, judy.origin + "/", judy.origin + "/namespaces/board/runs/first"} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if answer.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s is answered with %s", address, answer.Status)
			}
		}
	})
}

// startBrowser starts a headless Chromium that asks nobody for anything.
func startBrowser(t *testing.T, chromium string) context.Context {
	t.Helper()
	options := append(append([]chromedp.ExecAllocatorOption{}, chromedp.DefaultExecAllocatorOptions[:]...),
		chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-background-networking", true))
	allocator, cancel := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	t.Cleanup(cancel)
	browser, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	if err := chromedp.Do(browser); err != nil {
		t.Fatalf("starting chromium: %v", err)
	}
	return browser
}

// tab is a tab of the browser with the dashboard of a user.
type tab struct {
	t   *testing.T
	ctx context.Context
	// address is what the plugin has printed, origin where the dashboard is.
	address, origin string
}

// openDashboard starts the dashboard of a user for the namespace board, and opens it.
func (s *suite) openDashboard(t *testing.T, browser context.Context, user string) *tab {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	command := s.environment.Command(ctx, user, "exec kubectl stagegate dashboard -n board")
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	said := &strings.Builder{}
	command.Stderr = said
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		// Whoever is interrupted ends well.
		if err := command.Wait(); !errors.Is(err, context.Canceled) {
			t.Errorf("the dashboard of %s: %v: %s", user, err, said)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the dashboard of %s has printed no address: %v: %s", user, err, said)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	address := strings.TrimSpace(line)
	origin, _, found := strings.Cut(address, "/?key=")
	if !found {
		t.Fatalf("the dashboard of %s has printed %q", user, address)
	}
	tabContext, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	// The tab is there as long as the context by which it was first used.
	if err := chromedp.Do(tabContext); err != nil {
		t.Fatalf("opening a tab: %v", err)
	}
	opened := &tab{t: t, ctx: tabContext, address: address, origin: origin}
	opened.do("opening "+origin, chromedp.Navigate(address))
	return opened
}

// do does something in the tab, and shows the page where that does not work.
func (b *tab) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.fail(what, err)
	}
}

func (b *tab) fail(what string, err error) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	page, failed := chromedp.Run(ctx, chromedp.Evaluate[string]("location.href + '\\n' + document.body.innerText"))
	if failed != nil {
		page = failed.Error()
	}
	b.t.Fatalf("%s: %v\n%s", what, err, page)
}

func (b *tab) open(path string) {
	b.t.Helper()
	b.do("opening "+path, chromedp.Navigate(b.origin+path))
}

func (b *tab) click(selector string) {
	b.t.Helper()
	b.do("clicking "+selector, chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

func (b *tab) fill(selector, text string) {
	b.t.Helper()
	b.do("filling "+selector, chromedp.SendKeys(chromedp.CSS(selector), text, chromedp.NodeVisible))
}

// hasText resolves once an element has a text. chromedp's own polling makes functions of texts, which the policy of the page forbids.
const hasText = `new Promise((done) => {
	const has = () => [...document.querySelectorAll(%s)].some((e) => e.innerText.replace(/\s+/g, " ").includes(%s));
	if (has()) { done(true); return; }
	new MutationObserver((_, observer) => { if (has()) { observer.disconnect(); done(true); } }).observe(document, {childList: true, subtree: true, characterData: true, attributes: true});
})`

// sees waits until an element has a text, be it on the page that comes next.
func (b *tab) sees(selector, text string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	for {
		_, err := chromedp.Run(ctx, chromedp.Evaluate[bool](fmt.Sprintf(hasText, quoted(selector), quoted(text)), chromedp.EvalAwaitPromise))
		if err == nil {
			return
		}
		// A page that another one takes the place of breaks the promise.
		if ctx.Err() != nil || !strings.Contains(err.Error(), "context was destroyed") && !strings.Contains(err.Error(), "navigated or closed") {
			b.fail(fmt.Sprintf("waiting for %q in %s", text, selector), err)
		}
	}
}

// quoted is a text as a string of a script.
func quoted(text string) string {
	// A string can be encoded.
	data, _ := json.Marshal(text)
	return string(data)
}

// is reports an expression, or a promise of one, that is not true on the page.
func (b *tab) is(expression, otherwise string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	is, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.fail(expression, err)
	}
	if !is {
		b.t.Error(otherwise)
	}
}

func (b *tab) isNot(expression, otherwise string) {
	b.t.Helper()
	b.is("!("+expression+")", otherwise)
}

func (b *tab) port(t *testing.T) int {
	t.Helper()
	u, err := url.Parse(b.origin)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// listening returns the addresses on which a port of this machine is listened on, as ss -ltn has them.
func listening(t *testing.T, port int) (addresses []net.IP) {
	t.Helper()
	const stateListen = "0A"
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			fields := strings.Fields(line)
			if len(fields) < 4 || fields[3] != stateListen || !strings.HasSuffix(fields[1], fmt.Sprintf(":%04X", port)) {
				continue
			}
			address, _, _ := strings.Cut(fields[1], ":")
			ip, err := hex.DecodeString(address)
			if err != nil {
				t.Fatal(err)
			}
			// Each word of an address is in the order of the machine.
			for i := 0; i < len(ip); i += 4 {
				ip[i], ip[i+1], ip[i+2], ip[i+3] = ip[i+3], ip[i+2], ip[i+1], ip[i]
			}
			addresses = append(addresses, ip)
		}
	}
	return addresses
}
