// Copyright The Stagegate Authors.
// SPDX-License-Identifier: Apache-2.0

package members

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/tools/cache"

	"github.com/stagegate/stagegate/pkg/apis/wellknown"
	"github.com/stagegate/stagegate/pkg/rollout/internal/reconcile"
)

// deadline bounds the wait for what must happen.
const deadline = 30 * time.Second

const goodKubeconfig = `
apiVersion: v1
kind: Config
current-context: c
contexts:
- {name: c, context: {cluster: m, user: u}}
clusters:
- {name: m, cluster: {server: "https://member.example"}}
users:
- {name: u, user: {token: secret}}
`

func memberSecret(cluster, kubeconfig string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: wellknown.SystemNamespace, Name: wellknown.MemberSecretName(cluster)},
		Data:       map[string][]byte{wellknown.MemberKubeconfigKey: []byte(kubeconfig)},
	}
}

// newDirectory has a directory of a hub run until the test ends.
func newDirectory(t *testing.T, hub *fake.Clientset) *Directory {
	t.Helper()
	return newDirectoryWith(t, hub, Options{})
}

func newDirectoryWith(t *testing.T, hub *fake.Clientset, options Options) *Directory {
	t.Helper()
	d := NewDirectory(hub, wellknown.SystemNamespace, options)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-done })
	if !cache.WaitForCacheSync(t.Context().Done(), d.secrets.HasSynced) {
		t.Fatal("the directory was not filled")
	}
	return d
}

func TestKubeconfig(t *testing.T) {
	replace := func(oldObj, newObj string) string { return strings.Replace(goodKubeconfig, oldObj, newObj, 1) }
	for name, tc := range map[string]struct {
		kubeconfig string
		reason     Reason
		says       string
	}{
		"a token is used":            {kubeconfig: goodKubeconfig},
		"no YAML":                    {kubeconfig: "{", reason: KubeconfigInvalid},
		"no context":                 {kubeconfig: replace("current-context: c", "current-context: x"), reason: KubeconfigInvalid, says: `"x"`},
		"no cluster":                 {kubeconfig: replace("cluster: m,", "cluster: x,"), reason: KubeconfigInvalid, says: `"x"`},
		"no user":                    {kubeconfig: replace("user: u}", "user: x}"), reason: KubeconfigInvalid, says: `"x"`},
		"a bad certificate":          {kubeconfig: replace("server:", "certificate-authority-data: aGVsbG8=, server:"), reason: KubeconfigInvalid},
		"a program is never run":     {kubeconfig: replace("token: secret", "exec: {apiVersion: client.authentication.k8s.io/v1, command: sh, interactiveMode: Never}"), reason: KubeconfigRefused, says: "exec"},
		"an auth provider":           {kubeconfig: replace("token: secret", "auth-provider: {name: oidc}"), reason: KubeconfigRefused, says: "auth-provider"},
		"a token file is never read": {kubeconfig: replace("token: secret", "tokenFile: /etc/passwd"), reason: KubeconfigRefused, says: "tokenFile"},
		"a certificate file":         {kubeconfig: replace("token: secret", "client-certificate: /a"), reason: KubeconfigRefused, says: "client-certificate-data"},
		"a key file":                 {kubeconfig: replace("token: secret", "client-key: /a"), reason: KubeconfigRefused, says: "client-key-data"},
		"an authority file":          {kubeconfig: replace("server:", "certificate-authority: /a, server:"), reason: KubeconfigRefused, says: "certificate-authority-data"},
		"no TLS":                     {kubeconfig: replace("https://", "http://"), reason: KubeconfigRefused, says: "a server without TLS is not allowed; use an https:// address, or start the server with --allow-insecure-members"},
		"no scheme and no TLS":       {kubeconfig: replace("https://", ""), reason: KubeconfigRefused, says: "a server without TLS"},
		"no scheme with a name":      {kubeconfig: replace(`"https://`, `"FTP://`), reason: KubeconfigRefused, says: "a server without TLS"},
		"any certificate":            {kubeconfig: replace("server:", "insecure-skip-tls-verify: true, server:"), reason: KubeconfigRefused, says: "insecure-skip-tls-verify is not allowed; use certificate-authority-data, or start the server with --allow-insecure-members"},
		"a proxy that is none":       {kubeconfig: replace("server:", `proxy-url: "ftp://user:password@proxy", server:`), reason: KubeconfigInvalid, says: `the proxy-url of cluster "m"`},
		"a proxy that is no URL":     {kubeconfig: replace("server:", `proxy-url: "http://user:password@proxy:%zz", server:`), reason: KubeconfigInvalid, says: `the proxy-url of cluster "m"`},
		"somebody else is acted as":  {kubeconfig: replace("token: secret", "token: secret, as: somebody")},
		"another name on the server": {kubeconfig: replace("server:", "tls-server-name: other.example, server:")},
		"empty":                      {reason: KubeconfigNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDirectory(t, fake.NewClientset(memberSecret("a", tc.kubeconfig)))
			member, err := d.Get("a")
			if tc.reason == "" {
				if err != nil {
					t.Fatal(err)
				}
				if member.Config.BearerToken != "secret" || member.Config.Host != "https://member.example" || member.Generation == "" {
					t.Errorf("Get() = %+v", member)
				}
				return
			}
			var credentials *CredentialsError
			if !errors.As(err, &credentials) || credentials.Reason != tc.reason {
				t.Fatalf("Get() = %v, want reason %s", err, tc.reason)
			}
			if strings.Contains(err.Error(), "password") {
				t.Errorf("%q has a password", err)
			}
			for _, part := range []string{"Secret fleet-system/member-a", `"kubeconfig"`, tc.says} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
		})
	}
}

func TestWhatIsInsecureIsTakenWhereItIsAllowed(t *testing.T) {
	for name, kubeconfig := range map[string]string{
		"no TLS":          strings.Replace(goodKubeconfig, "https://", "http://", 1),
		"any certificate": strings.Replace(goodKubeconfig, "server:", "insecure-skip-tls-verify: true, server:", 1),
	} {
		t.Run(name, func(t *testing.T) {
			d := newDirectoryWith(t, fake.NewClientset(memberSecret("a", kubeconfig)), Options{AllowInsecure: true})
			if _, err := d.Get("a"); err != nil {
				t.Error(err)
			}
			// What reads files or runs programs is not.
			d = newDirectoryWith(t, fake.NewClientset(memberSecret("a", strings.Replace(kubeconfig, "token: secret", "tokenFile: /etc/passwd", 1))), Options{AllowInsecure: true})
			if _, err := d.Get("a"); err == nil {
				t.Error("a file is read")
			}
		})
	}
}

func TestAProxyIsKnownWithoutItsPassword(t *testing.T) {
	kubeconfig := strings.Replace(goodKubeconfig, "server:", `proxy-url: "http://user:password@proxy.example:3128/x", server:`, 1)
	member, err := newDirectory(t, fake.NewClientset(memberSecret("a", kubeconfig))).Get("a")
	if err != nil {
		t.Fatal(err)
	}
	if want := "http://proxy.example:3128"; member.Proxy != want {
		t.Errorf("proxy %q, want %q", member.Proxy, want)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, member.Config.Host, nil)
	if err != nil {
		t.Fatal(err)
	}
	used, err := member.Config.Transport.(*transport).next.(*http.Transport).Proxy(request)
	if err != nil || used.String() != "http://user:password@proxy.example:3128/x" {
		t.Errorf("requests go through %v, %v", used, err)
	}
}

func TestEveryMemberIsBound(t *testing.T) {
	server := serve(t, true, func(w http.ResponseWriter, request *http.Request) {
		if request.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		http.Redirect(w, request, "https://other.example", http.StatusFound)
	})
	ca := base64.StdEncoding.EncodeToString(configFor(server).CAData)
	kubeconfig := strings.Replace(goodKubeconfig, `server: "https://member.example"`, `certificate-authority-data: "`+ca+`", server: "`+server.URL+`"`, 1)
	member, err := newDirectory(t, fake.NewClientset(memberSecret("a", kubeconfig))).Get("a")
	if err != nil {
		t.Fatal(err)
	}
	if err := readyz(t.Context(), member.Config); err == nil || !strings.Contains(err.Error(), "redirects are not followed") {
		t.Errorf("got %v", err)
	}
}

func TestDirectoryFollowsTheSecret(t *testing.T) {
	hub := fake.NewClientset(
		memberSecret("a", goodKubeconfig),
		&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: wellknown.SystemNamespace, Name: "serving-cert"},
			Data:       map[string][]byte{"tls.key": []byte("private")},
		})
	d := newDirectory(t, hub)
	changed := make(chan reconcile.Key, 10)
	queue := reconcile.New("test", 1, func(_ context.Context, key reconcile.Key) (time.Duration, error) {
		changed <- key
		return 0, nil
	})
	d.Watch(queue)
	go func() { _ = queue.Run(t.Context()) }()
	next := func() {
		t.Helper()
		select {
		case key := <-changed:
			if key != (reconcile.Key{Name: "a"}) {
				t.Fatalf("%s changed, want a alone", key)
			}
		case <-time.After(deadline):
			t.Fatal("the change was not seen")
		}
	}
	next()
	first, err := d.Get("a")
	if err != nil {
		t.Fatal(err)
	}
	if same, _ := d.Get("a"); same != first {
		t.Error("unchanged credentials gave another member")
	}

	secrets := hub.CoreV1().Secrets(wellknown.SystemNamespace)
	relabeled := memberSecret("a", goodKubeconfig)
	relabeled.Labels = map[string]string{"team": "x"}
	if _, err := secrets.Update(t.Context(), relabeled, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	next()
	if same, _ := d.Get("a"); same != first {
		t.Error("a label gave another member")
	}

	if _, err := secrets.Update(t.Context(), memberSecret("a", strings.Replace(goodKubeconfig, "secret", "rotated", 1)), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	next()
	second, err := d.Get("a")
	if err != nil {
		t.Fatal(err)
	}
	if second.Config.BearerToken != "rotated" || second.Generation == first.Generation {
		t.Errorf("after the rotation: token %q, generation %s -> %s", second.Config.BearerToken, first.Generation, second.Generation)
	}

	if err := secrets.Delete(t.Context(), "member-a", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	next()
	var credentials *CredentialsError
	if _, err := d.Get("a"); !errors.As(err, &credentials) || credentials.Reason != SecretNotFound {
		t.Errorf("Get() = %v, want %s", err, SecretNotFound)
	}
	for _, obj := range d.secrets.GetStore().List() {
		if secret := obj.(*corev1.Secret); len(secret.Data) > 0 {
			t.Errorf("the data of Secret %s is kept", secret.Name)
		}
	}
}

func TestIdle(t *testing.T) {
	d := NewDirectory(fake.NewClientset(), wellknown.SystemNamespace, Options{})
	isIdle := func() bool {
		select {
		case <-d.Idle("a"):
			return true
		default:
			return false
		}
	}
	if !isIdle() {
		t.Error("a member that nobody uses is not idle")
	}
	first, second := d.acquire("a"), d.acquire("a")
	idle := d.Idle("a")
	first()
	if isIdle() {
		t.Error("a member is idle while one of two uses it")
	}
	second()
	<-idle
	if !isIdle() {
		t.Error("a member that nobody uses any more is not idle")
	}
}
